#include "player/controller/robust_mpc.h"

#include <algorithm>

#include "player/controller/knapsack.h"
#include "player/controller/rate_forecast.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {

Choice RobustMpcController::decide(const Observation& seen) const {
  Choice choice;
  const std::vector<uint32_t> rest = undecided_chunks(seen);
  const double rate = robust_harmonic_mean(seen.history);
  if (!seen.frozen) abandon(seen, rest, rate, choice);
  if (!seen.frozen && !rest.empty() && pipe_has_room(seen)) {
    const uint32_t next = rest.front();
    int level = middle_level(seen.chunks[next]);
    if (rate > 0) {
      const auto plan = levels_within(seen, rest, capacity_bytes(seen, rate));
      level = plan ? *std::min_element(plan->begin(), plan->end()) : seen.chunks[next].min_level;
    }
    fetch_level(seen, next, level, false, "lowest of the plan", choice);
  }
  finish_whole_chunks(seen, choice);
  return choice;
}

}  // namespace kvcast::player
