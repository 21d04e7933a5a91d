#include "player/controller/throughput_rule.h"

#include <algorithm>

#include "player/controller/rate_forecast.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {
namespace {

// Shaka's half-lives are 2 and 5 s; an SLO is some tenth of a video's buffer.
constexpr double kFast_s = 0.3, kSlow_s = 0.8;
constexpr double kSafety = 0.9;

}  // namespace

Choice ThroughputController::decide(const Observation& seen) const {
  Choice choice;
  const std::vector<uint32_t> rest = undecided_chunks(seen);
  const double rate = kSafety * std::min(moving_average(seen.history, kFast_s),
                                         moving_average(seen.history, kSlow_s));
  if (!seen.frozen) abandon(seen, rest, rate, choice);
  if (!seen.frozen && !rest.empty() && pipe_has_room(seen)) {
    const uint32_t next = rest.front();
    const int level = rate > 0 ? common_level(seen, rest, capacity_bytes(seen, rate))
                               : middle_level(seen.chunks[next]);
    fetch_level(seen, next, level, false, "for all that remains", choice);
  }
  finish_whole_chunks(seen, choice);
  return choice;
}

}  // namespace kvcast::player
