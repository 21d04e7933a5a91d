#include "player/c_api/device_callback_sink.h"

#include <fmt/format.h>

#include "player/c_api/shape.h"

namespace kvcast::player {
namespace {

kernels::DeviceLayout layout_of(const kvcast_device_layout& given) {
  return {given.block_tokens, given.block_bytes, given.token_bytes, given.head_bytes};
}

std::vector<std::byte*> addresses(void* const* given, size_t count) {
  std::vector<std::byte*> all;
  for (size_t i = 0; given != nullptr && i < count; ++i) {
    all.push_back(static_cast<std::byte*>(given[i]));
  }
  return all;
}

}  // namespace

manifests::Status DeviceCallbackSink::prepare(const KvShape& shape,
                                              const manifests::KvFileInfo& about) {
  model_ = about.model.name;
  return DeviceKvSink::prepare(shape, about);
}

manifests::Result<DeviceCache> DeviceCallbackSink::cache_for(const KvShape& shape) {
  const kvcast_shape told = shape_for_c(shape, model_);
  kvcast_device_cache given{};
  given.size = sizeof(given);
  if (const int32_t code = table_.prepare(table_.context, &told, &given); code != 0) {
    return manifests::Error{
        manifests::ErrorKind::kUsage,
        fmt::format("the sink's prepare callback refused the cache's shape with code {}; see its "
                    "own log",
                    code)};
  }
  DeviceCache cache;
  cache.keys_dev = addresses(given.keys, given.layers);
  cache.values_dev = addresses(given.values, given.layers);
  cache.key_bytes = given.key_bytes;
  cache.value_bytes = given.value_bytes;
  cache.key_layout = layout_of(given.key_layout);
  cache.value_layout = layout_of(given.value_layout);
  if (given.blocks != nullptr) cache.blocks.assign(given.blocks, given.blocks + given.block_count);
  cache.first_slot = given.first_slot;
  return cache;
}

void DeviceCallbackSink::tokens_known(std::span<const uint32_t> ids) {
  DeviceKvSink::tokens_known(ids);
  if (table_.tokens_known != nullptr) table_.tokens_known(table_.context, ids.data(), ids.size());
}

void DeviceCallbackSink::chunk_ready(uint64_t token_begin, uint64_t token_end) {
  if (table_.chunk_ready != nullptr) table_.chunk_ready(table_.context, token_begin, token_end);
}

void DeviceCallbackSink::layer_ready(uint32_t layer) {
  if (table_.layer_ready != nullptr) table_.layer_ready(table_.context, layer);
}

}  // namespace kvcast::player
