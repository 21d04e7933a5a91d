#include "player/controller/fixed.h"

#include <fmt/format.h>

#include <algorithm>

#include "player/controller/plan.h"

namespace kvcast::player {

int FixedController::target(const ChunkState& chunk) const {
  return std::min(std::max(level_, chunk.min_level), chunk.max_level);
}

Choice FixedController::decide(const Observation& seen) const {
  Choice choice;
  if (seen.frozen) {
    decode_what_is_here(seen, choice);
    return choice;
  }
  bool complete = true;
  for (uint32_t c = 0; c < seen.chunks.size(); ++c) {
    const ChunkState& chunk = seen.chunks[c];
    if (chunk.recomputed) continue;
    complete = complete && chunk.in_hand() && chunk.held_level() >= target(chunk);
    if (!chunk.network_can()) continue;
    for (int n = 0; n <= target(chunk); ++n) {
      if (choice.start.size() == seen.free_transfers) break;
      if (((chunk.held | chunk.fetching) >> n & 1) != 0) continue;
      choice.start.push_back({c, static_cast<uint32_t>(n), n <= chunk.min_level,
                              fmt::format("level {} of every chunk", level_)});
    }
  }
  choice.recompute = recomputable_hole(seen);
  if (choice.recompute) choice.recompute_reason = "the network cannot bring it";
  decode_what_is_here(seen, choice);
  choice.freeze = complete;
  if (complete) choice.freeze_reason = fmt::format("level {} is complete", level_);
  return choice;
}

}  // namespace kvcast::player
