// Steps that controllers share. Each reads the observation and adds to the choice.
#pragma once

#include <cstdint>
#include <optional>

#include "player/controller.h"

namespace kvcast::player {

bool everything_in_hand(const Observation& seen);

// First chunk that is neither in hand nor, as far as is known, to be had from the network, when
// all KV before it is in the sink, so that it can be recomputed now.
std::optional<uint32_t> recomputable_hole(const Observation& seen);

// Cancels what is under way of chunks that were recomputed meanwhile.
void cancel_recomputed(const Observation& seen, Choice& choice);
void cancel_planes(uint32_t chunk, uint32_t planes, const char* reason, Choice& choice);

// Bases as they come; upgrades once a chunk has all it will get, or when decoding them at the end
// would cost more than a quarter of the time left. Frozen: everything that is here.
void decode_what_is_here(const Observation& seen, Choice& choice);

}  // namespace kvcast::player
