// Chunks of a manifest as a controller sees them.
#pragma once

#include <vector>

#include "player/controller.h"
#include "player/player.h"
#include "player/session/presentation.h"

namespace kvcast::player {

std::vector<ChunkState> make_ladders(const Presentation& presentation, const PlayParams& params);

// The object of a rung.
const manifests::ObjectRef& object_of(const Presentation& presentation, uint32_t chunk,
                                      uint32_t plane, bool exact);

}  // namespace kvcast::player
