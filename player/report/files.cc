#include "manifests/file.h"
#include "player/report.h"
#include "player/report/pages.h"

namespace kvcast::player {
namespace {

manifests::Status write_text(const std::string& path, const std::string& text) {
  return manifests::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace

manifests::Status write_report(const std::string& dir, const PlayReport& report,
                               const std::vector<PlayEvent>& events,
                               const std::vector<LinkRate>& link) {
  std::string lines;
  for (const PlayEvent& event : events) lines += event_json(event) + "\n";
  const std::pair<const char*, std::string> files[] = {
      {"/events.jsonl", std::move(lines)},
      {"/report.html", report_page(report, events, link)},
      {"/perfetto.json", perfetto_trace(report, events) + "\n"},
      {"/report.json", report_json(report) + "\n"},
  };
  for (const auto& [name, text] : files) {
    if (auto written = write_text(dir + name, text); !written) return written;
  }
  return {};
}

}  // namespace kvcast::player
