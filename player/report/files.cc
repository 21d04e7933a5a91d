#include "manifests/file.h"
#include "player/report.h"

namespace kvcast::player {
namespace {

manifests::Status write_text(const std::string& path, const std::string& text) {
  return manifests::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace

manifests::Status write_report(const std::string& dir, const PlayReport& report,
                               const std::vector<PlayEvent>& events) {
  std::string lines;
  for (const PlayEvent& event : events) lines += event_json(event) + "\n";
  if (auto written = write_text(dir + "/events.jsonl", lines); !written) return written;
  return write_text(dir + "/report.json", report_json(report) + "\n");
}

}  // namespace kvcast::player
