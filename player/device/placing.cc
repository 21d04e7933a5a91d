#include "player/device/placing.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvcast::player {
namespace {

using kernels::Check;
using kernels::DeviceLayout;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Status;

struct SideOfCache {
  const std::vector<std::byte*>& layers_dev;
  uint64_t bytes;
  const DeviceLayout& layout;
};

SideOfCache side_of(const DeviceCache& cache, Side side) {
  if (side == Side::kKey) return {cache.keys_dev, cache.key_bytes, cache.key_layout};
  return {cache.values_dev, cache.value_bytes, cache.value_layout};
}

// Where a slot's first element lies, from the layer's address on.
uint64_t offset_of(const DeviceLayout& layout, const std::vector<int32_t>& blocks, uint64_t slot) {
  if (layout.block_tokens == 0) return slot * layout.token_bytes;
  return static_cast<uint64_t>(blocks[slot / layout.block_tokens]) * layout.block_bytes +
         slot % layout.block_tokens * layout.token_bytes;
}

// copy(bytes into the layer, bytes into the host's rows, bytes of a row, rows)
template <typename Copy>
Check for_each_run(const DeviceCache& cache, const KvShape& shape, Side side,
                   kernels::TokenRange tokens, size_t host_stride, Copy copy) {
  const DeviceLayout& layout = side_of(cache, side).layout;
  const uint32_t heads = shape.geometry.heads(side);
  const size_t head_bytes = shape.geometry.dim(side) * kernels::dtype_bytes(shape.dtype);
  const bool dense = layout.head_bytes == head_bytes;
  for (uint32_t done = 0; done < tokens.count;) {
    const uint64_t slot = cache.first_slot + tokens.begin + done;
    uint64_t run = tokens.count - done;
    if (layout.block_tokens > 0) {
      run = std::min<uint64_t>(run, layout.block_tokens - slot % layout.block_tokens);
    }
    const uint64_t there = offset_of(layout, cache.blocks, slot), here = done * host_stride;
    for (uint32_t h = 0; h < (dense ? 1 : heads); ++h) {
      if (Check copied = copy(there + h * layout.head_bytes, here + h * head_bytes,
                              dense ? heads * head_bytes : head_bytes, run);
          !copied) {
        return copied;
      }
    }
    done += static_cast<uint32_t>(run);
  }
  return {};
}

Status check_side(const DeviceCache& cache, const KvShape& shape, Side side) {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::kUsage,
                 fmt::format("the engine's cache does not take the {} of this presentation: {}",
                             side == Side::kKey ? "keys" : "values", what)};
  };
  const SideOfCache to = side_of(cache, side);
  const DeviceLayout& layout = to.layout;
  const uint32_t heads = shape.geometry.heads(side), dim = shape.geometry.dim(side);
  if (heads * dim == 0 || shape.tokens == 0) return {};
  if (to.layers_dev.size() != shape.geometry.layers) {
    return wrong(
        fmt::format("it has {} layers, not {}", to.layers_dev.size(), shape.geometry.layers));
  }
  const uint64_t head_bytes = dim * kernels::dtype_bytes(shape.dtype);
  const bool dense = layout.head_bytes == head_bytes;
  if (layout.head_bytes < head_bytes ||
      layout.token_bytes < (dense ? heads * head_bytes : head_bytes)) {
    return wrong("heads or tokens lie closer together than they are long");
  }
  const uint64_t slots = cache.first_slot + shape.tokens;
  const uint64_t row = (heads - 1) * layout.head_bytes + head_bytes;
  const uint64_t in_block = layout.block_tokens > 0 ? layout.block_tokens : slots;
  const uint64_t extent = (in_block - 1) * layout.token_bytes + row;
  if (extent > to.bytes) return wrong(fmt::format("{} slots do not fit in it", in_block));
  if (layout.block_tokens == 0) return {};
  const uint64_t blocks = (slots + layout.block_tokens - 1) / layout.block_tokens;
  if (blocks > cache.blocks.size()) {
    return wrong(fmt::format("{} blocks of {} slots hold fewer than {}", cache.blocks.size(),
                             layout.block_tokens, slots));
  }
  for (uint64_t i = cache.first_slot / layout.block_tokens; i < blocks; ++i) {
    const int64_t block = cache.blocks[i];
    const bool inside =
        block >= 0 && (layout.block_bytes == 0 ||
                       static_cast<uint64_t>(block) <= (to.bytes - extent) / layout.block_bytes);
    if (!inside) return wrong(fmt::format("block {} lies outside", block));
  }
  return {};
}

}  // namespace

Status check_cache(const DeviceCache& cache, const KvShape& shape) {
  if (kernels::is_fp8(shape.dtype)) {
    return Error{ErrorKind::kUsage,
                 fmt::format("{} is decoded on the CPU only", kernels::dtype_name(shape.dtype))};
  }
  if (Status keys = check_side(cache, shape, Side::kKey); !keys) return keys;
  return check_side(cache, shape, Side::kValue);
}

Check place_rows(kernels::DeviceRuntime& device, const DeviceCache& cache, const KvShape& shape,
                 uint32_t layer, Side side, kernels::TokenRange tokens, kernels::TensorView from,
                 kernels::DeviceStream stream) {
  const SideOfCache to = side_of(cache, side);
  if (shape.geometry.channels(side) == 0) return {};
  return for_each_run(cache, shape, side, tokens, from.token_stride_bytes,
                      [&](uint64_t there, uint64_t here, size_t row_bytes, size_t rows) {
                        return device.copy_rows_to_device(
                            to.layers_dev[layer] + there, to.layout.token_bytes, from.data + here,
                            from.token_stride_bytes, row_bytes, rows, stream);
                      });
}

Check read_rows(kernels::DeviceRuntime& device, const DeviceCache& cache, const KvShape& shape,
                uint32_t layer, Side side, kernels::TokenRange tokens,
                kernels::MutableTensorView to, kernels::DeviceStream stream) {
  const SideOfCache from = side_of(cache, side);
  if (shape.geometry.channels(side) == 0) return {};
  return for_each_run(cache, shape, side, tokens, to.token_stride_bytes,
                      [&](uint64_t there, uint64_t here, size_t row_bytes, size_t rows) {
                        return device.copy_rows_to_host(
                            to.data + here, to.token_stride_bytes, from.layers_dev[layer] + there,
                            from.layout.token_bytes, row_bytes, rows, stream);
                      });
}

}  // namespace kvcast::player
