#include "player/controller/chance.h"

#include <algorithm>

#include "player/controller/front.h"
#include "player/controller/knapsack.h"
#include "player/controller/plan.h"
#include "player/controller/rate_forecast.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {
namespace {

constexpr double kStandardDeviations = 1.6;  // 95%

int next_level(const Observation& seen, const std::vector<uint32_t>& rest) {
  const ChunkState& next = seen.chunks[rest.back()];
  if (seen.history.empty()) return middle_level(next);
  const double capacity =
      bytes_with_confidence(seen.history, seen.freeze_s - seen.now_s, kStandardDeviations) -
      static_cast<double>(seen.in_flight_bytes);
  const auto plan = levels_within(seen, rest, capacity);
  return plan ? *std::min_element(plan->begin(), plan->end()) : next.min_level;
}

}  // namespace

Choice ChanceController::decide(const Observation& seen) const {
  Choice choice;
  if (!seen.frozen) {
    Front front(seen);
    front.choose(choice);
    std::vector<uint32_t> rest = undecided_chunks(seen);
    std::erase_if(rest, [&](uint32_t c) { return c < front.reach(); });
    const double left_s = std::max(1e-3, seen.freeze_s - seen.now_s);
    const double rate = bytes_with_confidence(seen.history, left_s, kStandardDeviations) / left_s;
    abandon(seen, rest, rate, choice);
    cancel_recomputed(seen, choice);
    if (!rest.empty() && pipe_has_room(seen)) {
      fetch_level(seen, rest.back(), next_level(seen, rest), false,
                  "lowest of the plan, from the back", choice);
    }
  }
  finish_whole_chunks(seen, choice);
  return choice;
}

}  // namespace kvcast::player
