#include "tools/commands/pack_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace kvcast::tools {
namespace {

using packager::PackPhase;
using packager::PackProgress;

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLineInterval = std::chrono::seconds(5);
constexpr size_t kBarWidth = 24;

const char* phase_name(PackPhase phase) {
  switch (phase) {
    case PackPhase::kMeasuring:
      return "measuring";
    case PackPhase::kEncoding:
      return "encoding";
    case PackPhase::kPublishing:
      return "publishing";
  }
  return "";
}

double share_of(const PackProgress& progress) {
  if (progress.bytes_total == 0) return 1;
  return static_cast<double>(progress.bytes_done) / static_cast<double>(progress.bytes_total);
}

}  // namespace

PackProgressLine::PackProgressLine()
    : terminal_(::isatty(STDERR_FILENO) == 1), phase_start_(Clock::now()), shown_(phase_start_) {}

std::string PackProgressLine::line(const PackProgress& progress, Clock::time_point now) const {
  const double share = share_of(progress);
  const double seconds = std::chrono::duration<double>(now - phase_start_).count();
  std::string text = fmt::format("{:10} {:3.0f}%", phase_name(progress.phase), 100 * share);
  if (progress.phase != PackPhase::kPublishing && seconds > 0) {
    text += fmt::format("  {:.1f} MB/s", static_cast<double>(progress.bytes_done) / 1e6 / seconds);
  }
  if (share > 0) text += fmt::format("  {:.0f} s left", seconds * (1 - share) / share);
  return text;
}

void PackProgressLine::show(const PackProgress& progress) {
  const Clock::time_point now = Clock::now();
  if (progress.phase != phase_) {
    phase_ = progress.phase;
    phase_start_ = now;
  }
  const auto interval = terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLineInterval);
  if (now - shown_ < interval) return;
  shown_ = now;
  if (!terminal_) {
    std::fprintf(stderr, "kvcast: %s\n", line(progress, now).c_str());
    return;
  }
  const auto filled = static_cast<size_t>(share_of(progress) * kBarWidth);
  std::fprintf(stderr, "\r[%s%s] %s\033[K", std::string(filled, '#').c_str(),
               std::string(kBarWidth - filled, '.').c_str(), line(progress, now).c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void PackProgressLine::end() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace kvcast::tools
