// CacheGen as published (SIGCOMM 2024, section 5.3): chunk by chunk from the front; the last
// chunk's throughput is taken to last, and the least lossy configuration with which all remaining
// chunks meet the SLO is used for the next one, recomputing them all from text being the best of
// all. The first chunk goes at a medium level; where nothing meets the SLO, the lowest level.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class CacheGenPaperController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
