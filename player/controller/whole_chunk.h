// What controllers share that choose a level chunk by chunk, and load its planes together as one
// object would be (bytes as in a codec whose levels are separate objects, were those not larger).
// Each reads the observation and adds to the choice.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "player/controller.h"

namespace kvcast::player {

// Neither here, nor under way, nor being recomputed, nor beyond what the network has.
bool undecided(const Observation& seen, uint32_t chunk);
std::vector<uint32_t> undecided_chunks(const Observation& seen);  // from the front

// Nothing is under way, or so little that the next request's first byte would come after it: one
// chunk after the other, without gaps.
bool pipe_has_room(const Observation& seen);

// Planes 0..level, also those that are here when `again`.
void fetch_level(const Observation& seen, uint32_t chunk, int level, bool again,
                 std::string_view why, Choice& choice);

// The highest level at which all of `chunks` come within `capacity_bytes`, or -1.
int common_level(const Observation& seen, const std::vector<uint32_t>& chunks,
                 double capacity_bytes);

// Bytes that `rate` brings by the freeze, less what is under way.
double capacity_bytes(const Observation& seen, double rate_bytes_per_s);

// Before anything is known: the middle of the ladder, as CacheGen starts.
int middle_level(const ChunkState& chunk);

// Cancels the upper planes of what is under way, when the lowest levels of `rest` would not come in
// time after it: dash.js's AbandonRequestsRule with the deadline in place of the buffer.
void abandon(const Observation& seen, const std::vector<uint32_t>& rest, double rate_bytes_per_s,
             Choice& choice);

// Recomputes what the network cannot bring, decodes what is here, and freezes once every chunk is
// in hand and nothing is under way.
void finish_whole_chunks(const Observation& seen, Choice& choice);

}  // namespace kvcast::player
