#include "kernels/gpu_check/work.h"

#include <bit>
#include <cmath>
#include <random>
#include <stdexcept>

#include "kernels/first_chunk.h"
#include "kernels/plane.h"
#include "kernels/rope.h"

namespace kvcast::kernels::gpu_check {
namespace {

constexpr Geometry kOneLayer{1, kBenchHeads, kBenchDim, kBenchHeads, kBenchDim};
constexpr size_t kRowBytes = kBenchChannels * sizeof(uint16_t);

template <typename T>
T require(Checked<T> value) {
  if (!value) throw std::runtime_error(value.fault().what);
  return std::move(*value);
}

std::vector<std::byte> normal_rows(uint32_t tokens, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(size_t{tokens} * kBenchChannels);
  for (float& value : values) value = normal(random);
  std::vector<std::byte> rows(values.size() * sizeof(uint16_t));
  store_f32(DType::kBf16, values, rows.data());
  return rows;
}

// Rows of a Hadamard matrix, columns' signs at random: orthonormal, and as dense as a KLT.
TransformBlock dense_block(uint32_t first_channel, uint32_t width, std::mt19937& random) {
  TransformBlock block{first_channel, width, width, {}};
  std::vector<float> signs(width);
  for (float& sign : signs) sign = random() % 2 == 0 ? 1.0f : -1.0f;
  const float size = 1 / std::sqrt(static_cast<float>(width));
  for (uint32_t row = 0; row < width; ++row) {
    for (uint32_t c = 0; c < width; ++c) {
      const float sign = std::popcount(row & c) % 2 == 0 ? signs[c] : -signs[c];
      block.basis.push_back(f32_to_bf16(sign * size));
    }
  }
  return block;
}

Profile one_layer_profile(uint32_t levels, double step, uint32_t transform_width,
                          const TensorView& keys, const TensorView& values) {
  Rope rope;
  rope.inv_freq = rope_frequencies(500000, kBenchDim);
  FirstChunkParams params;
  params.levels = levels;
  params.step = static_cast<float>(step);
  params.sink_tokens = 0;
  Profile profile = require(measure_first_chunk(kOneLayer, {rope}, {0}, {0, kBenchChunkTokens},
                                                DType::kBf16, {&keys, 1}, {&values, 1}, params));
  std::mt19937 random(5);
  for (SectionCodec& section : profile.sections) {
    for (uint32_t at = 0; transform_width > 0 && at < kBenchChannels; at += transform_width) {
      section.blocks.push_back(dense_block(at, transform_width, random));
    }
  }
  return profile;
}

Profile all_layers(const Profile& one) {
  Profile all = one;
  all.geometry.layers = kBenchLayers;
  all.layer_rope.assign(kBenchLayers, 0);
  all.groups.clear();
  all.sections.clear();
  for (uint32_t layer = 0; layer < kBenchLayers; ++layer) {
    all.groups.push_back({layer, 1});
    all.sections.insert(all.sections.end(), one.sections.begin(), one.sections.end());
  }
  if (const Check sound = validate(all); !sound) throw std::runtime_error(sound.fault().what);
  return all;
}

void encode(BenchWork& work, uint32_t tokens) {
  const Codec codec(work.one_layer);
  size_t bytes = 0;
  for (const Side side : {Side::kKey, Side::kValue}) {
    const auto s = static_cast<size_t>(side);
    const TensorView view{work.kv[s].data(), kRowBytes};
    work.planes[s] =
        require(encode_section(codec, 0, side, {0, tokens}, DType::kBf16, {&view, 1})).planes;
    for (const auto& plane : work.planes[s]) bytes += plane.size();
  }
  work.bits_per_value = 8.0 * static_cast<double>(bytes) / (2.0 * tokens * kBenchChannels);
}

}  // namespace

BenchWork make_work(const std::string& name, uint32_t levels, uint32_t transform_width,
                    double bits) {
  BenchWork work;
  work.name = name;
  work.kv[0] = normal_rows(kBenchChunkTokens, 1);
  work.kv[1] = normal_rows(kBenchChunkTokens, 2);
  const TensorView keys{work.kv[0].data(), kRowBytes}, values{work.kv[1].data(), kRowBytes};
  // In standard deviations of a channel. Coarser steps take fewer bits: halve the interval.
  double finer = 0.2, coarser = 3;
  constexpr uint32_t kTrialTokens = 128;
  for (int i = 0; levels == 1 && i < 7; ++i) {
    const double middle = std::sqrt(finer * coarser);
    work.one_layer = one_layer_profile(levels, middle, 0, keys, values);
    encode(work, kTrialTokens);
    (work.bits_per_value > bits ? finer : coarser) = middle;
  }
  const double step = levels == 1 ? std::sqrt(finer * coarser) : 0.2;
  work.one_layer = one_layer_profile(levels, step, transform_width, keys, values);
  work.profile = all_layers(work.one_layer);
  encode(work, kBenchChunkTokens);
  return work;
}

}  // namespace kvcast::kernels::gpu_check
