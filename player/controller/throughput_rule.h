// What video players do: a level for all that remains by nine tenths of the slower of two moving
// averages (Shaka player, lib/abr/ewma_bandwidth_estimator.js; the factor is dash.js's
// ThroughputRule), and abandoning upper planes under way when the rest would not come in time.
// Network only: text where the network cannot.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class ThroughputController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
