// For comparison: the engine prefills the whole context; nothing is fetched.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class TextController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
