// For comparison: every chunk at one level, from the front, however long it takes. Only what the
// network cannot bring is recomputed.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class FixedController final : public Controller {
 public:
  explicit FixedController(int level) : level_(level) {}
  Choice decide(const Observation& seen) const override;

 private:
  int target(const ChunkState& chunk) const;
  int level_;
};

}  // namespace kvcast::player
