// A cache in device memory as an engine would have it, for who has no engine there: tests, and
// `kvcast play --device`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "player/device_sink.h"

namespace kvcast::player {

enum class CacheShape : uint8_t {
  kContiguous,    // [tokens, heads, dim] a layer and side
  kPaged,         // vLLM's [2, blocks, block_tokens, heads, dim] a layer
  kPacked,        // vLLM's [blocks, heads, block_tokens, 2 * dim] a layer
  kAcrossLayers,  // [blocks, layers, block_tokens, heads, dim] a side
};
inline constexpr CacheShape kCacheShapes[] = {CacheShape::kContiguous, CacheShape::kPaged,
                                              CacheShape::kPacked, CacheShape::kAcrossLayers};
const char* cache_shape_name(CacheShape shape);  // contiguous, paged, packed, across-layers

// Memory as `shape`, blocks of 16 tokens in an order shuffled by `seed`, some of them never used.
class EngineCache {
 public:
  // Error: no memory; a packed cache whose keys and values differ in shape.
  static manifests::Result<EngineCache> create(kernels::DeviceRuntime& device, CacheShape shape,
                                               const KvShape& kv, uint32_t seed);
  const DeviceCache& cache() const { return cache_; }
  uint64_t bytes() const { return bytes_; }

 private:
  EngineCache() = default;
  kernels::DeviceRuntime::Owner memory_;
  uint64_t bytes_ = 0;
  DeviceCache cache_;
};

// A sink that makes its cache when it knows the presentation.
class EngineCacheSink : public DeviceKvSink {
 public:
  EngineCacheSink(DeviceRoom& room, CacheShape shape, uint32_t seed = 1)
      : DeviceKvSink(room, {}), shape_(shape), seed_(seed) {}
  uint64_t cache_bytes() const { return held_ ? held_->bytes() : 0; }

 protected:
  manifests::Result<DeviceCache> cache_for(const KvShape& kv) override;

 private:
  CacheShape shape_;
  uint32_t seed_;
  std::optional<EngineCache> held_;
};

}  // namespace kvcast::player
