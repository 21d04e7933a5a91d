#include "player/controller/cachegen_paper.h"

#include <algorithm>

#include "player/controller/rate_forecast.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {
namespace {

bool text_meets_the_slo(const Observation& seen, const std::vector<uint32_t>& rest) {
  double seconds = 0;
  for (const uint32_t c : rest) seconds += seen.chunks[c].recompute_s;
  return seen.recompute_available && seen.now_s + seconds <= seen.freeze_s;
}

}  // namespace

Choice CacheGenPaperController::decide(const Observation& seen) const {
  Choice choice;
  const std::vector<uint32_t> rest = undecided_chunks(seen);
  if (seen.recomputing) {
    choice.recompute = seen.recomputing;
    choice.recompute_reason = "under way";
  } else if (!seen.frozen && !rest.empty() && pipe_has_room(seen)) {
    const uint32_t next = rest.front();
    const double rate = last_rate(seen.history);
    if (text_meets_the_slo(seen, rest)) {
      choice.recompute = next;
      choice.recompute_reason = "text for all that remains meets the SLO";
    } else if (rate <= 0) {
      fetch_level(seen, next, middle_level(seen.chunks[next]), false, "medium, nothing is known",
                  choice);
    } else {
      const int level = common_level(seen, rest, capacity_bytes(seen, rate));
      fetch_level(seen, next, level, false, "for all that remains at the last rate", choice);
    }
  }
  finish_whole_chunks(seen, choice);
  return choice;
}

}  // namespace kvcast::player
