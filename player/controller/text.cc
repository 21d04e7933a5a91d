#include "player/controller/text.h"

namespace kvcast::player {

Choice TextController::decide(const Observation& seen) const {
  Choice choice;
  for (uint32_t c = 0; c < seen.chunks.size() && !seen.frozen; ++c) {
    if (seen.chunks[c].recomputed) continue;
    if (seen.recompute_available) choice.recompute = c;
    choice.recompute_reason = "text only";
    return choice;
  }
  choice.freeze = !seen.frozen;
  choice.freeze_reason = "everything is recomputed";
  return choice;
}

}  // namespace kvcast::player
