#include "kernels/plane/random_section.h"

#include <algorithm>
#include <cmath>

#include "kernels/entropy/random_table.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/profile/random_profile.h"
#include "kernels/rope.h"

namespace kvcast::kernels {
namespace {

constexpr std::byte kGap{0xA5};

Geometry random_geometry(std::mt19937& random) {
  constexpr uint32_t kDims[] = {8, 20, 32, 48, 64, 80};
  Geometry geometry;
  geometry.layers = 1 + below(random, 3);
  geometry.key_heads = 1 + below(random, below(random, 3) == 0 ? 9 : 3);
  geometry.key_dim = kDims[below(random, 6)];
  geometry.value_heads = below(random, 10) == 0 ? 0 : 1 + below(random, 4);
  geometry.value_dim = kDims[below(random, 6)];
  return geometry;
}

void add_ropes(std::mt19937& random, Profile& profile) {
  for (uint32_t i = below(random, 3); i > 0; --i) {
    Rope rope;
    rope.layout = below(random, 2) == 0 ? Rope::Layout::kHalfSplit : Rope::Layout::kInterleaved;
    const uint32_t rotary = profile.geometry.key_dim / (1 + below(random, 2)) / 2 * 2;
    rope.first_dim = profile.geometry.key_dim - rotary;
    rope.attention_scaling = below(random, 2) == 0 ? 1.0 : 1.25;
    rope.inv_freq = rope_frequencies(10000, rotary);
    profile.ropes.push_back(rope);
  }
  for (uint32_t layer = 0; layer < profile.geometry.layers; ++layer) {
    const uint32_t rope = below(random, profile.ropes.size() + 1);
    profile.layer_rope.push_back(rope < profile.ropes.size() ? static_cast<uint8_t>(rope)
                                                             : kNoRope);
  }
}

void add_sections(std::mt19937& random, Profile& profile, bool truncated) {
  const std::vector<uint8_t> ladders[] = {{3, 2, 1, 0}, {2, 2, 0}, {0}, {1, 0, 0}, {5, 0}};
  const auto& ladder = ladders[below(random, 5)];
  profile.levels = static_cast<uint32_t>(ladder.size());
  for (const Side side : {Side::kKey, Side::kValue}) {
    const uint32_t layers = profile.groups[0].layers;
    const bool narrow = layers * profile.geometry.channels(side) <= 160;
    const auto kind = static_cast<BlockKind>(below(random, narrow ? 4 : 2));
    profile.sections.push_back(
        random_codec(random, profile.geometry, layers, side, kind, truncated, ladder));
  }
}

void add_classes(std::mt19937& random, Profile& profile) {
  std::vector<double> scales;
  for (double scale = 0.1; scale < 40; scale *= 2 + below(random, 3)) scales.push_back(scale);
  profile.classes = laplace_classes(scales, 0.4, profile.passes());
  // A class that holds nothing but zeros, in tables of one symbol.
  ScaleClass zeros = profile.classes[0];
  zeros.base.frequency = {0, 4096, 0, 0};
  for (auto& contexts : zeros.passes) contexts = {{{{4096, 0, 0}}, {{4096, 0}}, {{4096, 0}}}};
  profile.classes.push_back(zeros);
}

}  // namespace

std::vector<TensorView> RandomSection::views() const {
  std::vector<TensorView> views;
  for (const auto& layer : rows) views.push_back({layer.data(), token_stride_bytes});
  return views;
}

float RandomSection::value(uint32_t layer, uint32_t token, uint32_t channel) const {
  float value;
  load_f32(dtype, rows[layer].data() + token * token_stride_bytes + channel * dtype_bytes(dtype),
           {&value, 1});
  return value;
}

void RandomSection::set_value(uint32_t layer, uint32_t token, uint32_t channel, float value) {
  store_f32(dtype, {&value, 1},
            rows[layer].data() + token * token_stride_bytes + channel * dtype_bytes(dtype));
}

RandomSection random_section(std::mt19937& random) {
  RandomSection section;
  Profile& profile = section.profile;
  profile.geometry = random_geometry(random);
  profile.groups = {{0, profile.geometry.layers}};
  profile.sink_tokens = below(random, 6);
  section.truncated = below(random, 3) == 0;
  add_ropes(random, profile);
  add_sections(random, profile, section.truncated);
  add_classes(random, profile);

  section.side = below(random, 2) == 0 ? Side::kKey : Side::kValue;
  section.tokens.begin = below(random, 2) == 0 ? 0 : below(random, 5000);
  section.tokens.count = 1 + below(random, below(random, 4) == 0 ? 5 : 300);
  section.dtype = kDTypes[below(random, std::size(kDTypes))];
  const uint32_t channels = profile.geometry.channels(section.side);
  section.token_stride_bytes = channels * dtype_bytes(section.dtype) + 2 * below(random, 9);
  const SectionCodec& codec = profile.section(0, section.side);
  std::normal_distribution<float> normal;
  for (uint32_t layer = 0; layer < profile.groups[0].layers; ++layer) {
    section.rows.emplace_back(section.token_stride_bytes * section.tokens.count);
    for (uint32_t c = 0; c < channels; ++c) {
      const size_t index = size_t{layer} * channels + c;
      const float spread = c / 32 % 3 == 2 ? 0.0f : std::min(8.0f, std::exp(normal(random)));
      for (uint32_t t = 0; t < section.tokens.count; ++t) {
        const float outlier = below(random, 500) == 0 ? 100.0f : 1.0f;
        section.set_value(
            layer, t, c,
            codec.mean[index] + codec.scale[index] * spread * outlier * normal(random));
      }
    }
  }
  return section;
}

float last_place(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 0x1p-10f;
    case DType::kBf16:
      return 0x1p-7f;
    case DType::kF32:
      return 0x1p-22f;  // one more: RoPE and the transform add up in fp32
    case DType::kF8E4M3:
      return 0x1p-3f;
    case DType::kF8E5M2:
      return 0x1p-2f;
  }
  return 0;
}

Destination::Destination(const RandomSection& section)
    : section_(section),
      row_bytes_(section.profile.geometry.channels(section.side) * dtype_bytes(section.dtype)),
      stride_bytes_(row_bytes_ + 6),
      rows_(section.rows.size(),
            std::vector<std::byte>(stride_bytes_ * section.tokens.count, kGap)) {}

std::vector<MutableTensorView> Destination::views() {
  std::vector<MutableTensorView> views;
  for (auto& layer : rows_) views.push_back({layer.data(), stride_bytes_});
  return views;
}

std::vector<float> Destination::row(uint32_t layer, uint32_t token) const {
  std::vector<float> row(row_bytes_ / dtype_bytes(section_.dtype));
  load_f32(section_.dtype, rows_[layer].data() + token * stride_bytes_, row);
  return row;
}

std::vector<std::byte> Destination::raw_row(uint32_t layer, uint32_t token) const {
  const auto begin = rows_[layer].begin() + static_cast<ptrdiff_t>(token * stride_bytes_);
  return {begin, begin + static_cast<ptrdiff_t>(row_bytes_)};
}

bool Destination::gaps_untouched() const {
  for (const auto& layer : rows_) {
    for (size_t i = 0; i < layer.size(); ++i) {
      if (i % stride_bytes_ >= row_bytes_ && layer[i] != kGap) return false;
    }
  }
  return true;
}

}  // namespace kvcast::kernels
