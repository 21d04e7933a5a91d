// From channels to coefficients and back.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/dtype.h"
#include "kernels/implementation/transform_kernels.h"
#include "kernels/profile/random_profile.h"
#include "kernels/transform/analysis_basis.h"
#include "kernels/transform/forward_transform.h"
#include "kernels/transform/inverse_transform.h"
#include "kernels/transform/packed_bases.h"

namespace kvcast::kernels {
namespace {

constexpr Geometry kGeometry{3, 2, 12, 3, 7};

struct Case {
  BlockKind kind;
  bool truncate;
  Side side;
  uint32_t layers, tokens;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const BlockKind kind :
       {BlockKind::kNone, BlockKind::kPerHead, BlockKind::kPerLayer, BlockKind::kWholeGroup}) {
    for (const bool truncate : {false, true}) {
      for (const Side side : {Side::kKey, Side::kValue}) {
        for (const uint32_t tokens : {1u, 15u, 16u, 37u})
          cases.push_back({kind, truncate, side, 1 + tokens % 3, tokens});
      }
    }
  }
  return cases;
}

std::vector<float> random_values(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal(0.5f, 2.0f);
  std::vector<float> values(count);
  for (float& x : values) x = normal(random);
  return values;
}

// [tokens][width] to [tokens][C], by tiles.
std::vector<float> forward(const SectionCodec& codec, std::span<const float> channels,
                           const ColumnKernels& kernels) {
  const size_t width = codec.mean.size(), coded = codec.order.size();
  const size_t tokens = channels.size() / width;
  std::vector<float> coefficients(tokens * coded);
  const auto bases = analysis_bases(codec);
  ForwardTransform transform(codec, kernels, bases);
  for (size_t begin = 0; begin < tokens; begin += kColumnTokens) {
    const size_t count = std::min(kColumnTokens, tokens - begin);
    for (size_t i = 0; i < count * width; ++i)
      transform.channels()[i % width * kColumnTokens + i / width] = channels[begin * width + i];
    transform.normalise(0, width);
    transform.run();
    for (size_t i = 0; i < count * coded; ++i)
      coefficients[begin * coded + i] = transform.coefficients()[i % coded][i / coded];
  }
  return coefficients;
}

// [tokens][C] to [tokens][width], scaled and shifted; of heads of `dim`.
std::vector<float> inverse(const SectionCodec& codec, size_t dim,
                           std::span<const uint16_t> coefficients,
                           const TransformKernels& kernels) {
  const size_t width = codec.mean.size(), coded = codec.order.size();
  const size_t tokens = coefficients.size() / coded;
  std::vector<float> channels(tokens * width, std::numeric_limits<float>::quiet_NaN());
  const auto bases = packed_bases(codec, *kernels.inverse);
  InverseTransform transform(codec, dim, kernels, bases);
  for (size_t begin = 0; begin < tokens; begin += transform.tokens_at_a_time()) {
    const size_t count = std::min(transform.tokens_at_a_time(), tokens - begin);
    transform.run(coefficients.data() + begin * coded, count, [&](const ChannelSums& sums) {
      EXPECT_EQ(sums.channels % dim, 0u);
      const size_t first = sums.first_channel;
      kernels.finish->to_f32({sums.u, sums.stride, sums.tokens, sums.channels / dim, dim,
                              codec.scale.data() + first, codec.mean.data() + first, nullptr,
                              reinterpret_cast<std::byte*>(
                                  channels.data() + (begin + sums.first_token) * width + first),
                              width * sizeof(float)});
    });
  }
  return channels;
}

// Component -> basis row (over all channels), in fp64.
std::vector<std::vector<double>> rows_of(const SectionCodec& codec) {
  const size_t width = codec.mean.size();
  std::vector<std::vector<double>> rows;
  for (const TransformBlock& block : codec.blocks) {
    for (uint32_t r = 0; r < block.rank; ++r) {
      std::vector<double> row(width, 0.0);
      for (uint32_t c = 0; c < block.width; ++c)
        row[block.first_channel + c] = bf16_to_f32(block.basis[r * block.width + c]);
      rows.push_back(row);
    }
  }
  for (size_t c = 0; codec.blocks.empty() && c < width; ++c) {
    rows.emplace_back(width, 0.0);
    rows.back()[c] = 1.0;
  }
  return rows;
}

SectionCodec codec_of(std::mt19937& random, const Case& c) {
  return random_codec(random, kGeometry, c.layers, c.side, c.kind, c.truncate, {1, 0});
}

TEST(Transform, ForwardMatchesFp64) {
  std::mt19937 random(5);
  for (const Case& c : all_cases()) {
    const SectionCodec codec = codec_of(random, c);
    const size_t width = codec.mean.size(), coded = codec.order.size();
    const std::vector<float> channels = random_values(random, c.tokens * width);
    const auto coefficients = forward(codec, channels, scalar::kColumnKernels);
    for (const auto& [name, kernels] : transform_kernels_here())
      ASSERT_EQ(forward(codec, channels, *kernels.columns), coefficients) << name;
    const auto rows = rows_of(codec);
    for (size_t t = 0; t < c.tokens; ++t) {
      for (size_t p = 0; p < coded; ++p) {
        double expected = 0, magnitude = 0;
        for (size_t i = 0; i < width; ++i) {
          const double u =
              (static_cast<double>(channels[t * width + i]) - codec.mean[i]) / codec.scale[i];
          expected += rows[codec.order[p]][i] * u;
          magnitude += std::fabs(rows[codec.order[p]][i] * u);
        }
        ASSERT_NEAR(coefficients[t * coded + p], expected, 1e-5 * magnitude + 1e-6);
      }
    }
  }
}

TEST(Transform, InverseMatchesFp64) {
  std::mt19937 random(6);
  for (const Case& c : all_cases()) {
    const SectionCodec codec = codec_of(random, c);
    const size_t width = codec.mean.size(), coded = codec.order.size();
    // Heads of one block each, or of several: a layer's are as one.
    const size_t dim = c.tokens % 2 == 0 ? kGeometry.channels(c.side) : kGeometry.dim(c.side);
    std::vector<uint16_t> coefficients;
    for (const float y : random_values(random, c.tokens * coded))
      coefficients.push_back(f32_to_bf16(y));
    const auto rows = rows_of(codec);
    for (const auto& [name, kernels] : transform_kernels_here()) {
      SCOPED_TRACE(name);
      const auto channels = inverse(codec, dim, coefficients, kernels);
      for (size_t t = 0; t < c.tokens; ++t) {
        for (size_t i = 0; i < width; ++i) {
          double u = 0, magnitude = 0;
          for (size_t p = 0; p < coded; ++p) {
            const double term = bf16_to_f32(coefficients[t * coded + p]) * rows[codec.order[p]][i];
            u += term;
            magnitude += std::fabs(term);
          }
          const double expected = codec.scale[i] * u + codec.mean[i];
          ASSERT_NEAR(channels[t * width + i], expected,
                      1e-5 * (codec.scale[i] * magnitude + std::fabs(codec.mean[i])));
        }
      }
    }
  }
}

// Wide enough for several tiles of tokens at a time; ranks odd, widths no multiple of a panel.
TEST(Transform, WideInverseMatchesFp64) {
  std::mt19937 random(61);
  constexpr Geometry kWide{7, 1, 61, 1, 61};
  const size_t dim = kWide.key_dim;
  for (const bool truncate : {false, true}) {
    const SectionCodec codec = random_codec(random, kWide, kWide.layers, Side::kKey,
                                            BlockKind::kWholeGroup, truncate, {0});
    const size_t width = codec.mean.size(), coded = codec.order.size();
    std::vector<uint16_t> coefficients;
    for (const float y : random_values(random, 33 * coded)) coefficients.push_back(f32_to_bf16(y));
    const auto rows = rows_of(codec);
    for (const auto& [name, kernels] : transform_kernels_here()) {
      const auto channels = inverse(codec, dim, coefficients, kernels);
      for (size_t i = 0; i < channels.size(); ++i) {
        const size_t t = i / width, c = i % width;
        double u = 0, magnitude = 0;
        for (size_t p = 0; p < coded; ++p) {
          const double term = bf16_to_f32(coefficients[t * coded + p]) * rows[codec.order[p]][c];
          u += term;
          magnitude += std::fabs(term);
        }
        ASSERT_NEAR(channels[i], codec.scale[c] * u + codec.mean[c],
                    1e-5 * (codec.scale[c] * magnitude + std::fabs(codec.mean[c])))
            << name;
      }
    }
  }
}

// Components beside those of their block are read where they are, others by way of columns.
TEST(Transform, ChannelsDoNotDependOnTheCodedOrder) {
  std::mt19937 random(62);
  constexpr Geometry kHeads{2, 2, 64, 2, 64};
  const SectionCodec shuffled =
      random_codec(random, kHeads, kHeads.layers, Side::kKey, BlockKind::kPerHead, false, {0});
  SectionCodec ordered = shuffled;
  std::sort(ordered.order.begin(), ordered.order.end());
  const size_t coded = shuffled.order.size();
  std::vector<uint16_t> of_shuffled, of_ordered(70 * coded);
  for (const float y : random_values(random, of_ordered.size()))
    of_shuffled.push_back(f32_to_bf16(y));
  for (size_t i = 0; i < of_ordered.size(); ++i)
    of_ordered[i / coded * coded + shuffled.order[i % coded]] = of_shuffled[i];
  for (const auto& [name, kernels] : transform_kernels_here()) {
    EXPECT_EQ(inverse(ordered, kHeads.key_dim, of_ordered, kernels),
              inverse(shuffled, kHeads.key_dim, of_shuffled, kernels))
        << name;
  }
}

TEST(Transform, IdentityScalesAsFusedMultiplyAddDoes) {
  std::mt19937 random(7);
  const SectionCodec codec = codec_of(random, {BlockKind::kNone, false, Side::kKey, 3, 0});
  const size_t width = codec.mean.size(), dim = kGeometry.dim(Side::kKey);
  std::vector<uint16_t> coefficients(64 * width);
  for (size_t i = 0; i < coefficients.size(); ++i)
    coefficients[i] = f32_to_bf16(random_values(random, 1)[0]);
  for (const auto& [name, kernels] : transform_kernels_here()) {
    const auto channels = inverse(codec, dim, coefficients, kernels);
    for (size_t i = 0; i < channels.size(); ++i) {
      const size_t p = i % width, c = codec.order[p];
      const float u = bf16_to_f32(coefficients[i]);
      ASSERT_EQ(channels[i - p + c], std::fma(codec.scale[c], u, codec.mean[c])) << name;
    }
  }
}

TEST(Transform, RowsDoNotDependOnHowManyAreGiven) {
  std::mt19937 random(8);
  const SectionCodec codec = codec_of(random, {BlockKind::kPerLayer, true, Side::kValue, 2, 0});
  const size_t width = codec.mean.size(), coded = codec.order.size();
  const std::vector<float> channels = random_values(random, 40 * width);
  const ColumnKernels& kernels = scalar::kColumnKernels;
  const auto together = forward(codec, channels, kernels);
  for (size_t t = 0; t < 40; ++t) {
    const auto alone = forward(codec, std::span(channels).subspan(t * width, width), kernels);
    for (size_t p = 0; p < coded; ++p) ASSERT_EQ(alone[p], together[t * coded + p]);
  }
}

TEST(Transform, InverseUndoesForwardAtFullRank) {
  std::mt19937 random(9);
  for (const BlockKind kind : {BlockKind::kPerHead, BlockKind::kWholeGroup}) {
    const SectionCodec codec = codec_of(random, {kind, false, Side::kKey, 3, 0});
    const size_t width = codec.mean.size();
    const std::vector<float> channels = random_values(random, 20 * width);
    std::vector<uint16_t> rounded;
    for (const float y : forward(codec, channels, scalar::kColumnKernels))
      rounded.push_back(f32_to_bf16(y));
    const auto back = inverse(codec, kGeometry.dim(Side::kKey), rounded,
                              transform_kernels(Implementation::kScalar));
    double error = 0, energy = 0;
    for (size_t i = 0; i < back.size(); ++i) {
      const size_t c = i % width;
      error += std::pow((back[i] - channels[i]) / codec.scale[c], 2);
      energy += std::pow((channels[i] - codec.mean[c]) / codec.scale[c], 2);
    }
    EXPECT_LT(error / energy, 1e-4);  // bf16 bases and coefficients
  }
}

}  // namespace
}  // namespace kvcast::kernels
