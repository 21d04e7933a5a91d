// Chance-constrained knapsack: the engine recomputes from the front, and what it will not reach is
// loaded from the back at levels that come in time with 95% probability by a lognormal forecast
// (the shape of Fugu, Yan et al., NSDI 2020, with a deadline in place of the buffer); the lowest of
// the plan goes first; abandoning as in throughput_rule.h. No chunk is loaded twice.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class ChanceController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
