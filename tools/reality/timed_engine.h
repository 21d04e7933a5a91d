// An engine that takes its time and nothing else: where a real one would share the cores with the
// player, and so change what it is compared with. The KV that it hands over is zeros.
#pragma once

#include "player/recompute.h"

namespace kvcast::reality {

class TimedEngine final : public player::Recompute {
 public:
  // A token at position p takes (1 + p * position_cost) / tokens_per_s seconds.
  TimedEngine(double tokens_per_s, double position_cost);

  std::optional<player::RecomputeCost> cost() const override { return cost_; }
  manifests::Result<player::RecomputeOutcome> prefill(const player::RecomputeTask& task,
                                                      std::stop_token stop) override;

 private:
  player::RecomputeCost cost_;
};

}  // namespace kvcast::reality
