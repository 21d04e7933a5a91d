// The default policy; controller.h says why it works.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class LayeredController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
