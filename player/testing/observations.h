// Hand-made views of a play, for tests of controllers.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "player/controller.h"

namespace kvcast::player::testing {

// 128 tokens, four levels of quality 0.85, 0.93, 0.97, 0.99; planes of 1, 0.4, 0.45 and 0.5 times
// `base_bytes`.
ChunkState chunk_of(uint64_t base_bytes, double recompute_s);

// Nothing is here yet; deadline 1 s, freeze 0.9 s, 1 MB/s known, four transfers, chunks of 50 kB
// and 0.1 s of recomputation, whose predictions are reliable.
Observation view_of(size_t chunks);

std::unique_ptr<Controller> controller(std::string_view name);  // throws when there is none
std::vector<uint32_t> chunks_of(const std::vector<Fetch>& fetches);

}  // namespace kvcast::player::testing
