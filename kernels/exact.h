// The lossless representation of one layer's K or V of one chunk. Stateless and thread-safe.
// Format: kernels/exact_format.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/fault.h"
#include "kernels/geometry.h"

namespace kvcast::kernels {

// Any bit pattern, NaN and infinity included, comes back as it was.
std::vector<std::byte> encode_exact(DType dtype, uint32_t tokens, uint32_t channels,
                                    TensorView from);

Check decode_exact(DType dtype, uint32_t tokens, uint32_t channels,
                   std::span<const std::byte> section, MutableTensorView to);

}  // namespace kvcast::kernels
