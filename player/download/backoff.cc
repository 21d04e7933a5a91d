#include "player/download/backoff.h"

#include <algorithm>
#include <chrono>

namespace kvcast::player {
namespace {

constexpr double kLeastPause_ns = 5e6;  // right before the deadline: no busy loop

double to_ns(std::chrono::milliseconds time) {
  return 1e6 * static_cast<double>(time.count());
}

}  // namespace

double uniform(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11) * 0x1p-53;
}

int64_t pause_ns(const DownloaderParams& params, uint32_t failures,
                 std::optional<int64_t> deadline_ns, int64_t now_ns, std::mt19937_64& random) {
  const uint32_t doublings = std::min(failures - 1, 40u);
  const double whole =
      std::min(to_ns(params.backoff_first) * static_cast<double>(1ull << doublings),
               to_ns(params.backoff_most));
  double pause = whole * (0.5 + 0.5 * uniform(random));
  if (deadline_ns && *deadline_ns > now_ns) {
    const double left = static_cast<double>(*deadline_ns - now_ns);
    pause = std::min(pause, std::max(params.backoff_deadline_share * left, kLeastPause_ns));
  }
  return static_cast<int64_t>(pause);
}

}  // namespace kvcast::player
