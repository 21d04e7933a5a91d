// Bases first, from the back, while the engine recomputes from the front, as the layered controller
// does; then, since without layers a better level is a whole new object, chunks again at the level
// that gains most per byte of all its planes.
#pragma once

#include "player/controller.h"

namespace kvcast::player {

class RefetchController final : public Controller {
 public:
  Choice decide(const Observation& seen) const override;
};

}  // namespace kvcast::player
