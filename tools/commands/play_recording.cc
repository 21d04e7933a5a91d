#include "tools/commands/play_recording.h"

#include <fmt/format.h>

#include <span>

#include "manifests/file.h"

namespace kvcast::tools {

using manifests::Error;
using manifests::ErrorKind;

manifests::Status write_recording(const std::string& path, const player::PlayReport& report,
                                  const std::vector<player::LinkRate>& link) {
  if (link.empty()) {
    return Error{ErrorKind::kIo, path + ": the play fetched nothing from which to tell the rate"};
  }
  std::string text = fmt::format(
      "# kvcast play: {} bytes in {:.0f} ms. Seconds since the request, Mbit/s while bodies were "
      "being received.\n",
      report.bytes_fetched, report.kv_ready_ms);
  for (const player::LinkRate& step : link) {
    text += fmt::format("{:.3f} {:.6g}\n", step.begin_s, step.bytes_per_s * 8e-6);
  }
  return manifests::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace kvcast::tools
