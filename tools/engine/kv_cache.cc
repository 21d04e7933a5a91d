#include "tools/engine/kv_cache.h"

#include <fmt/format.h>

namespace kvcast::engine {

using kernels::DType;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Status;

KvCache::KvCache(const ModelConfig& config, uint64_t capacity)
    : capacity_(capacity), layers_(config.layers), channels_(config.kv_channels()) {
  planes_.resize(2 * size_t{layers_});
  for (auto& plane : planes_) plane.resize(capacity * channels_);
}

float* KvCache::row(uint32_t layer, Side side, uint64_t token) {
  return planes_[index(layer, side)].data() + token * channels_;
}

const float* KvCache::row(uint32_t layer, Side side, uint64_t token) const {
  return planes_[index(layer, side)].data() + token * channels_;
}

Status KvCache::check_range(uint32_t layer, DType dtype, uint64_t begin, uint64_t count,
                            size_t bytes) const {
  if (layer >= layers_) {
    return Error{ErrorKind::kUsage, fmt::format("KV cache: layer {} of {}", layer, layers_)};
  }
  if (begin > capacity_ || count > capacity_ - begin) {
    return Error{ErrorKind::kUsage,
                 fmt::format("KV cache: tokens [{}, {} + {}) do not fit its capacity of {}", begin,
                             begin, count, capacity_)};
  }
  if (const uint64_t expected = count * channels_ * kernels::dtype_bytes(dtype);
      bytes != expected) {
    return Error{ErrorKind::kUsage,
                 fmt::format("KV cache: {} bytes for {} tokens of {} channels as {}, expected {}",
                             bytes, count, channels_, kernels::dtype_name(dtype), expected)};
  }
  return {};
}

Status KvCache::import_tokens(uint32_t layer, Side side, DType dtype, uint64_t begin,
                              uint64_t count, std::span<const std::byte> bytes) {
  if (Status status = check_range(layer, dtype, begin, count, bytes.size()); !status.ok())
    return status;
  kernels::load_f32(dtype, bytes.data(), {row(layer, side, begin), count * channels_});
  return {};
}

Status KvCache::export_tokens(uint32_t layer, Side side, DType dtype, uint64_t begin,
                              uint64_t count, std::span<std::byte> bytes) const {
  if (Status status = check_range(layer, dtype, begin, count, bytes.size()); !status.ok())
    return status;
  kernels::store_f32(dtype, {row(layer, side, begin), count * channels_}, bytes.data());
  return {};
}

}  // namespace kvcast::engine
