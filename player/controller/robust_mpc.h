// Robust MPC (Yin et al., SIGCOMM 2015) with the deadline in place of the buffer: levels by
// knapsack within what the harmonic mean rate, less its worst recent error, brings by the freeze;
// the lowest of the plan goes first; abandoning as in throughput_rule.h. Network only: text where
// the network cannot.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class RobustMpcController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
