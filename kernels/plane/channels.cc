#include "kernels/plane/channels.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "kernels/rope.h"
#include "kernels/transform/transform.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kTileTokens = 128;  // bounds the fp32 copies of a section

// The angles of a tile's positions for every RoPE that its layers use.
class TileRopes {
 public:
  TileRopes(const SectionShape& shape, uint64_t position, uint32_t count) : shape_(shape) {
    if (shape.side != Side::kKey) return;
    tables_.resize(shape.profile->ropes.size());
    for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
      const uint8_t rope = rope_of(layer);
      if (rope != kNoRope && !tables_[rope])
        tables_[rope].emplace(shape.profile->ropes[rope], position, count);
    }
  }

  // nullptr: the layer has none.
  const RopeTable* table(uint32_t layer) const {
    if (tables_.empty() || rope_of(layer) == kNoRope) return nullptr;
    return &*tables_[rope_of(layer)];
  }

 private:
  uint8_t rope_of(uint32_t layer) const {
    return shape_.profile->layer_rope[shape_.layers.first_layer + layer];
  }
  const SectionShape& shape_;
  std::vector<std::optional<RopeTable>> tables_;
};

template <typename Rotate>
void for_each_head(const SectionShape& shape, std::span<float> row, Rotate rotate) {
  const uint32_t dim = shape.profile->geometry.dim(shape.side);
  for (size_t first = 0; first < row.size(); first += dim) rotate(row.subspan(first, dim));
}

// The channels of one layer and token of the chunk.
Check load_row(const SectionShape& shape, DType dtype, const TensorView& view, uint32_t layer,
               uint32_t token, std::span<float> row) {
  load_f32(dtype, view.data + token * view.token_stride_bytes, row);
  const auto bad = std::find_if(row.begin(), row.end(), [](float x) { return !std::isfinite(x); });
  if (bad == row.end()) return {};
  const auto channel = static_cast<size_t>(bad - row.begin());
  const uint32_t dim = shape.profile->geometry.dim(shape.side);
  return Fault{std::string(std::isnan(*bad) ? "NaN" : "infinity") + " in layer " +
                   std::to_string(shape.layers.first_layer + layer) + ", token " +
                   std::to_string(shape.tokens.begin + token) + ", head " +
                   std::to_string(channel / dim) + ", dim " + std::to_string(channel % dim) +
                   ": only the exact representation can hold it",
               (size_t{layer} * shape.tokens.count + token) * shape.channels + channel};
}

// channels: [count][width], RoPE undone.
Check load_tile(const SectionShape& shape, DType dtype, std::span<const TensorView> layers,
                uint32_t first_token, uint32_t count, std::span<float> channels) {
  const TileRopes ropes(shape, shape.tokens.begin + first_token, count);
  for (uint32_t layer = 0; layer < layers.size(); ++layer) {
    const RopeTable* rope = ropes.table(layer);
    for (uint32_t t = 0; t < count; ++t) {
      const auto row =
          channels.subspan(size_t{t} * shape.width + layer * shape.channels, shape.channels);
      if (Check check = load_row(shape, dtype, layers[layer], layer, first_token + t, row); !check)
        return check;
      if (rope) for_each_head(shape, row, [&](std::span<float> head) { rope->undo(t, head); });
    }
  }
  return {};
}

Check check_sinks(const SectionShape& shape, DType dtype, std::span<const TensorView> layers) {
  std::vector<float> row(shape.channels);
  for (uint32_t layer = 0; layer < layers.size(); ++layer) {
    for (uint32_t token = 0; token < shape.sinks; ++token) {
      if (Check check = load_row(shape, dtype, layers[layer], layer, token, row); !check)
        return check;
    }
  }
  return {};
}

// Values near the end of fp32's range may overflow in the transform.
Check check_finite(const SectionShape& shape, std::span<const float> tile, uint32_t first_token) {
  const auto bad =
      std::find_if(tile.begin(), tile.end(), [](float y) { return !std::isfinite(y); });
  if (bad == tile.end()) return {};
  const auto token = first_token + static_cast<size_t>(bad - tile.begin()) / shape.coefficients;
  return Fault{"layers from " + std::to_string(shape.layers.first_layer) + ", token " +
                   std::to_string(shape.tokens.begin + token) +
                   ": a coefficient overflows fp32; only the exact representation can hold it",
               token * shape.channels};
}

// tile: [count][C] -> its place in [group][T][lane].
void place_by_group(const SectionShape& shape, std::span<const float> tile, uint32_t first_token,
                    uint32_t count, std::span<float> all) {
  for (uint32_t g = 0; g < shape.groups; ++g) {
    const uint32_t lanes = shape.lanes(g);
    float* to = all.data() + size_t{g} * kLanes * shape.coded_tokens + size_t{first_token} * lanes;
    for (uint32_t t = 0; t < count; ++t) {
      const float* from = tile.data() + size_t{t} * shape.coefficients + g * kLanes;
      std::copy_n(from, lanes, to + size_t{t} * lanes);
    }
  }
}

void redo(const RopeTable& table, uint32_t row, std::span<float> head,
          const TransformKernels* kernels) {
  const Rope& rope = table.rope();
  if (!kernels || rope.layout != Rope::Layout::kHalfSplit) return table.redo(row, head);
  float* const first = head.data() + rope.first_dim;
  kernels->rotate(table.cosines(row), table.sines(row), static_cast<float>(rope.attention_scaling),
                  rope.inv_freq.size(), first, first + rope.inv_freq.size());
}

void store_row(DType dtype, std::span<const float> row, std::byte* to,
               const TransformKernels* kernels) {
  if (!kernels || dtype == DType::kF32 || is_fp8(dtype)) return store_f32(dtype, row, to);
  (dtype == DType::kBf16 ? kernels->narrow_to_bf16 : kernels->narrow_to_f16)(row.data(), row.size(),
                                                                             to);
}

}  // namespace

Checked<std::vector<float>> load_coefficients(const SectionShape& shape, DType dtype,
                                              std::span<const TensorView> layers) {
  if (Check check = check_sinks(shape, dtype, layers); !check) return check.fault();
  std::vector<float> all(size_t{shape.coded_tokens} * shape.coefficients);
  const uint32_t tile = std::min(kTileTokens, shape.coded_tokens);
  std::vector<float> channels(size_t{tile} * shape.width),
      coefficients(size_t{tile} * shape.coefficients);
  for (uint32_t first = 0; first < shape.coded_tokens; first += tile) {
    const uint32_t count = std::min(tile, shape.coded_tokens - first);
    if (Check check = load_tile(shape, dtype, layers, shape.sinks + first, count, channels);
        !check) {
      return check.fault();
    }
    const auto transformed = std::span(coefficients).first(size_t{count} * shape.coefficients);
    transform::forward(*shape.codec, std::span(channels).first(size_t{count} * shape.width), count,
                       transformed);
    if (Check check = check_finite(shape, transformed, shape.sinks + first); !check)
      return check.fault();
    place_by_group(shape, transformed, first, count, all);
  }
  return all;
}

void store_coefficients(const SectionShape& shape, std::span<const uint16_t> coefficients,
                        DType dtype, std::span<const MutableTensorView> layers,
                        const TransformKernels* kernels) {
  const uint32_t tile = std::min(kTileTokens, shape.coded_tokens);
  std::vector<float> channels(size_t{tile} * shape.width);
  for (uint32_t first = 0; first < shape.coded_tokens; first += tile) {
    const uint32_t count = std::min(tile, shape.coded_tokens - first);
    transform::inverse(*shape.codec,
                       coefficients.subspan(size_t{first} * shape.coefficients,
                                            size_t{count} * shape.coefficients),
                       count, std::span(channels).first(size_t{count} * shape.width), kernels);
    const uint32_t token = shape.sinks + first;
    const TileRopes ropes(shape, shape.tokens.begin + token, count);
    for (uint32_t layer = 0; layer < layers.size(); ++layer) {
      const RopeTable* rope = ropes.table(layer);
      for (uint32_t t = 0; t < count; ++t) {
        const auto row = std::span(channels).subspan(
            size_t{t} * shape.width + layer * shape.channels, shape.channels);
        if (rope) {
          for_each_head(shape, row, [&](std::span<float> head) { redo(*rope, t, head, kernels); });
        }
        store_row(dtype, row, layers[layer].data + (token + t) * layers[layer].token_stride_bytes,
                  kernels);
      }
    }
  }
}

}  // namespace kvcast::kernels
