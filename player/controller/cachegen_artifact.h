// CacheGen as in its public code (src/utils.py, config_selection): every chunk has an equal share
// of the SLO, what is left of a share is lost, and a chunk whose lowest level exceeds its share is
// recomputed from text, after the chunks before it, in time or not. The code knows the bandwidth of
// each chunk in advance; here it is the measured rate, since nobody knows the former.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class CacheGenArtifactController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
