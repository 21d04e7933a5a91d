// Where an engine keeps keys or values in device memory: base addresses, strides, a block table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/dtype.h"

namespace kvcast::kernels {

// Element (token slot s, head h, dim d) of a layer lies at
//     layer's base + blocks[s / block_tokens] * block_bytes + s % block_tokens * token_bytes
//                  + h * head_bytes + d * dtype_bytes
// Dims are contiguous. block_tokens 0: no blocks; s * token_bytes takes their place.
struct DeviceLayout {
  uint32_t block_tokens = 0;
  uint64_t block_bytes = 0, token_bytes = 0, head_bytes = 0;

  // [tokens, heads, dim]
  static DeviceLayout contiguous(uint32_t heads, uint32_t dim, DType dtype);
  // vLLM's [2, blocks, block_tokens, heads, dim]: keys begin at the tensor, values half of it
  // later.
  static DeviceLayout paged(uint32_t block_tokens, uint32_t heads, uint32_t dim, DType dtype);
  // vLLM's packed [blocks, heads, block_tokens, 2 * dim]: keys begin at the tensor, values `dim`
  // elements later.
  static DeviceLayout packed(uint32_t block_tokens, uint32_t heads, uint32_t dim, DType dtype);
  // Blocks that hold all layers, [blocks, layers, ...]: the same within a block, blocks `layers` as
  // far apart; layer l begins l blocks' bytes after the tensor.
  DeviceLayout across_layers(uint32_t layers) const;

  bool operator==(const DeviceLayout&) const = default;
};

// Keys or values of some layers of one context. Owns nothing. `block_table` is host memory, copied
// when a plan is made; `layers_dev` are device addresses, one a layer of the section.
struct DeviceTensor {
  std::span<std::byte* const> layers_dev;
  uint64_t size_bytes = 0;  // from each of these on that belong to the engine's tensor
  DeviceLayout layout;
  std::span<const int32_t> block_table;  // [logical block]: physical block
  uint64_t first_slot = 0;               // of the chunk's first token
};

}  // namespace kvcast::kernels
