#include "player/controller/refetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "player/controller/front.h"
#include "player/controller/knapsack.h"
#include "player/controller/plan.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {
namespace {

struct Again {
  uint32_t chunk = 0;
  int level = 0;
  double gain_per_byte = 0;
};

// The best level for which a chunk in hand can be loaded again in time.
std::optional<Again> best_again(const Observation& seen, uint32_t reach,
                                std::optional<uint32_t> recomputing) {
  std::optional<Again> best;
  const double room_bytes = capacity_bytes(seen, seen.rate_bytes_per_s);
  for (uint32_t c = reach; c < seen.chunks.size(); ++c) {
    const ChunkState& chunk = seen.chunks[c];
    if (chunk.recomputed || recomputing == c || chunk.fetching != 0 || chunk.held_level() < 0) {
      continue;
    }
    const double from = chunk.ladder[chunk.held_level()].quality;
    for (int level = chunk.held_level() + 1; level <= chunk.max_level; ++level) {
      const auto bytes = static_cast<double>(level_bytes(chunk, level));
      const double gain = (chunk.ladder[level].quality - from) * static_cast<double>(chunk.tokens);
      const bool in_time = bytes + seen.ttfb_s * seen.rate_bytes_per_s <= room_bytes;
      if (in_time && gain / bytes > (best ? best->gain_per_byte : 0)) {
        best = Again{c, level, gain / bytes};
      }
    }
  }
  return best;
}

void freeze_when_due(const Observation& seen, Choice& choice) {
  if (!everything_in_hand(seen)) return;
  const bool idle = choice.start.empty() && !choice.recompute &&
                    std::none_of(seen.chunks.begin(), seen.chunks.end(), [](const auto& chunk) {
                      return !chunk.recomputed && chunk.fetching != 0;
                    });
  choice.freeze = seen.finish_early || seen.now_s >= seen.freeze_s || idle;
  choice.freeze_reason = idle ? "nothing better can come" : "time for the last decode";
}

}  // namespace

Choice RefetchController::decide(const Observation& seen) const {
  Choice choice;
  decode_what_is_here(seen, choice);
  if (seen.frozen) return choice;
  Front front(seen);
  front.choose(choice);
  cancel_recomputed(seen, choice);
  bool bases_started = true;
  for (auto c = static_cast<uint32_t>(seen.chunks.size()); c-- > front.reach();) {
    if (!undecided(seen, c)) continue;
    if (choice.start.size() >= seen.free_transfers) {
      bases_started = false;
      break;
    }
    fetch_level(seen, c, seen.chunks[c].min_level, false, "missing, from the back", choice);
  }
  if (bases_started && !seen.finish_early && pipe_has_room(seen)) {
    if (const auto again = best_again(seen, front.reach(), choice.recompute)) {
      fetch_level(seen, again->chunk, again->level, true, "the whole chunk again", choice);
    }
  }
  freeze_when_due(seen, choice);
  return choice;
}

}  // namespace kvcast::player
