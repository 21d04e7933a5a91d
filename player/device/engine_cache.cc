#include "player/engine_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace kvcast::player {
namespace {

using kernels::DeviceLayout;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;

constexpr uint32_t kBlockTokens = 16;
constexpr uint64_t kSpareBlocks = 3;  // of others
constexpr uint64_t kTensorAlignment = 256;

uint64_t aligned(uint64_t bytes) {
  return (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

// Where a layer's tensor of one side begins in the memory, and how much there is from there on.
struct Plan {
  uint64_t first = 0, step = 0, side_bytes = 0;
};

}  // namespace

const char* cache_shape_name(CacheShape shape) {
  switch (shape) {
    case CacheShape::kContiguous:
      return "contiguous";
    case CacheShape::kPaged:
      return "paged";
    case CacheShape::kPacked:
      return "packed";
    case CacheShape::kAcrossLayers:
      return "across-layers";
  }
  return "unknown";
}

manifests::Result<EngineCache> EngineCache::create(kernels::DeviceRuntime& device, CacheShape shape,
                                                   const KvShape& kv, uint32_t seed) {
  const kernels::Geometry& geometry = kv.geometry;
  const bool packed = shape == CacheShape::kPacked;
  if (packed &&
      (geometry.key_heads != geometry.value_heads || geometry.key_dim != geometry.value_dim)) {
    return Error{ErrorKind::kUsage,
                 "a packed cache holds keys and values of one shape only; use paged"};
  }
  EngineCache made;
  const uint64_t blocks = (kv.tokens + kBlockTokens - 1) / kBlockTokens + kSpareBlocks;
  const bool in_blocks = shape != CacheShape::kContiguous;
  Plan plans[2];
  uint64_t bytes = 0;
  for (const Side side : {Side::kKey, Side::kValue}) {
    const uint32_t heads = geometry.heads(side), dim = geometry.dim(side);
    DeviceLayout layout = DeviceLayout::paged(kBlockTokens, heads, dim, kv.dtype);
    if (!in_blocks) layout = DeviceLayout::contiguous(heads, dim, kv.dtype);
    if (packed) layout = DeviceLayout::packed(kBlockTokens, heads, dim, kv.dtype);
    const uint64_t block = layout.block_bytes;
    uint64_t tensor = in_blocks ? blocks * block : kv.tokens * layout.token_bytes;
    Plan& plan = plans[static_cast<size_t>(side)];
    if (shape == CacheShape::kAcrossLayers) {
      layout = layout.across_layers(geometry.layers);
      plan = {bytes, block, tensor * geometry.layers - (geometry.layers - 1) * block};
      bytes += aligned(tensor * geometry.layers);
    } else if (packed && side == Side::kValue) {
      const uint64_t after_keys = dim * kernels::dtype_bytes(kv.dtype);
      plan = {after_keys, plans[0].step, tensor - after_keys};
    } else {
      plan = {bytes, aligned(tensor), tensor};
      bytes += aligned(tensor) * geometry.layers;
    }
    (side == Side::kKey ? made.cache_.key_layout : made.cache_.value_layout) = layout;
  }
  auto memory = device.allocate(std::max<uint64_t>(bytes, 1));
  if (!memory) {
    return Error{ErrorKind::kIo, fmt::format("device {}: a cache of {} bytes: {}",
                                             device.info().name, bytes, memory.fault().what)};
  }
  made.memory_ = std::move(*memory);
  made.bytes_ = bytes;
  auto* base = static_cast<std::byte*>(made.memory_.get());
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    made.cache_.keys_dev.push_back(base + plans[0].first + layer * plans[0].step);
    made.cache_.values_dev.push_back(base + plans[1].first + layer * plans[1].step);
  }
  made.cache_.key_bytes = plans[0].side_bytes;
  made.cache_.value_bytes = plans[1].side_bytes;
  if (in_blocks) {
    made.cache_.blocks.resize(blocks);
    std::iota(made.cache_.blocks.begin(), made.cache_.blocks.end(), 0);
    std::shuffle(made.cache_.blocks.begin(), made.cache_.blocks.end(), std::mt19937(seed));
  }
  return made;
}

manifests::Result<DeviceCache> EngineCacheSink::cache_for(const KvShape& kv) {
  auto made = EngineCache::create(room().device(), shape_, kv, seed_);
  if (!made) return made.error();
  held_ = std::move(*made);
  return held_->cache();
}

}  // namespace kvcast::player
