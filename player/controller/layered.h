// The default policy; controller.h says why it works.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class LayeredController final : public Controller {
 public:
  // Without text only what the network cannot bring is recomputed.
  explicit LayeredController(bool text) : text_(text) {}
  Choice decide(const Observation& seen) const override;

 private:
  bool text_;
};

}  // namespace kvcast::player
