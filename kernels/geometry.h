// The shape of a model's KV cache and views of one chunk of it. Views own nothing and must outlive no call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/dtype.h"

namespace kvcast::kernels {

enum class Side : uint8_t { kKey = 0, kValue = 1 };

// Heads are KV heads. Keys and values may differ in heads and width; every layer has the same shape.
struct Geometry {
  uint32_t layers = 0;
  uint32_t key_heads = 0, key_dim = 0;
  uint32_t value_heads = 0, value_dim = 0;

  uint32_t heads(Side side) const { return side == Side::kKey ? key_heads : value_heads; }
  uint32_t dim(Side side) const { return side == Side::kKey ? key_dim : value_dim; }
  uint32_t channels(Side side) const { return heads(side) * dim(side); }  // per layer
  uint64_t bytes_per_token(DType dtype) const {
    return uint64_t{layers} * (channels(Side::kKey) + channels(Side::kValue)) * dtype_bytes(dtype);
  }
  bool operator==(const Geometry&) const = default;
};

// K or V of one layer: token t, channel c (= head * dim + d) at data + t * token_stride_bytes + c * dtype_bytes.
struct TensorView {
  const std::byte* data = nullptr;
  size_t token_stride_bytes = 0;
};
struct MutableTensorView {
  std::byte* data = nullptr;
  size_t token_stride_bytes = 0;
};

// Which tokens of the context a chunk holds. K is post-RoPE at positions token_begin, token_begin + 1, ...
struct TokenRange {
  uint64_t begin = 0;
  uint32_t count = 0;
};

}  // namespace kvcast::kernels
