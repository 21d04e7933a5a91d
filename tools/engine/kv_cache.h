// The KV cache of one context, as the engine reads it: fp32, keys after RoPE.
// Memory: per layer and side one contiguous [capacity][kv_heads * head_dim] array, allocated at
// construction, zero until written. The cache does not know which tokens it holds: whoever fills it
// does, since a network may fill it from the back while prefill fills it from the front. Threads:
// any number may write or read at once as long as nobody touches a token that another one is
// writing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/result.h"
#include "tools/engine/config.h"

namespace kvcast::engine {

class KvCache {
 public:
  // Room for `capacity` tokens.
  KvCache(const ModelConfig& config, uint64_t capacity);

  uint64_t capacity() const { return capacity_; }
  uint32_t layers() const { return layers_; }
  uint32_t channels() const { return channels_; }  // kv_heads * head_dim, of keys and of values

  // Rows from `token` on, `channels()` floats apart.
  float* row(uint32_t layer, kernels::Side side, uint64_t token);
  const float* row(uint32_t layer, kernels::Side side, uint64_t token) const;

  // Tokens [begin, begin + count) from / to `bytes`: [count][channels()] elements of `dtype`, any
  // alignment. kUsage if the range, the layer or the size does not fit.
  manifests::Status import_tokens(uint32_t layer, kernels::Side side, kernels::DType dtype,
                                  uint64_t begin, uint64_t count, std::span<const std::byte> bytes);
  manifests::Status export_tokens(uint32_t layer, kernels::Side side, kernels::DType dtype,
                                  uint64_t begin, uint64_t count, std::span<std::byte> bytes) const;

 private:
  manifests::Status check_range(uint32_t layer, kernels::DType dtype, uint64_t begin,
                                uint64_t count, size_t bytes) const;
  size_t index(uint32_t layer, kernels::Side side) const {
    return 2 * size_t{layer} + static_cast<size_t>(side);
  }

  uint64_t capacity_;
  uint32_t layers_, channels_;
  std::vector<std::vector<float>> planes_;  // [2 * layer + side][capacity * channels]
};

}  // namespace kvcast::engine
