// One link of a prefix hash chain (manifests/prefix_format.md), for those who do not know its seed.
#pragma once

#include <cstdint>
#include <span>

#include "manifests/digest.h"

namespace kvcast::manifests {

// The hash that follows `previous` by the tokens of one block; throws std::invalid_argument unless
// there are 16.
Digest next_prefix_hash(const Digest& previous, std::span<const uint32_t> block);

}  // namespace kvcast::manifests
