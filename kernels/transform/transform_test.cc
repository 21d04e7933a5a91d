#include "kernels/transform/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/dtype.h"
#include "kernels/profile/random_profile.h"

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
    std::vector<float> coefficients(c.tokens * coded);
    transform::forward(codec, channels, c.tokens, coefficients);
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
    std::vector<uint16_t> coefficients;
    for (const float y : random_values(random, c.tokens * coded))
      coefficients.push_back(f32_to_bf16(y));
    std::vector<float> channels(c.tokens * width);
    transform::inverse(codec, coefficients, c.tokens, channels);
    const auto rows = rows_of(codec);
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

TEST(Transform, IdentityScalesAsFusedMultiplyAddDoes) {
  std::mt19937 random(7);
  const SectionCodec codec = codec_of(random, {BlockKind::kNone, false, Side::kKey, 3, 0});
  const size_t width = codec.mean.size();
  std::vector<uint16_t> coefficients(64 * width);
  for (size_t i = 0; i < coefficients.size(); ++i)
    coefficients[i] = f32_to_bf16(random_values(random, 1)[0]);
  std::vector<float> channels(coefficients.size());
  transform::inverse(codec, coefficients, 64, channels);
  for (size_t i = 0; i < channels.size(); ++i) {
    const size_t p = i % width, c = codec.order[p];
    const float u = bf16_to_f32(coefficients[i]);
    ASSERT_EQ(channels[i - p + c], std::fma(codec.scale[c], u, codec.mean[c]));
  }
}

TEST(Transform, RowsDoNotDependOnHowManyAreGiven) {
  std::mt19937 random(8);
  const SectionCodec codec = codec_of(random, {BlockKind::kPerLayer, true, Side::kValue, 2, 0});
  const size_t width = codec.mean.size(), coded = codec.order.size();
  const std::vector<float> channels = random_values(random, 40 * width);
  std::vector<float> together(40 * coded), alone(coded);
  transform::forward(codec, channels, 40, together);
  for (size_t t = 0; t < 40; ++t) {
    transform::forward(codec, std::span(channels).subspan(t * width, width), 1, alone);
    for (size_t p = 0; p < coded; ++p) ASSERT_EQ(alone[p], together[t * coded + p]);
  }
}

TEST(Transform, InverseUndoesForwardAtFullRank) {
  std::mt19937 random(9);
  for (const BlockKind kind : {BlockKind::kPerHead, BlockKind::kWholeGroup}) {
    const SectionCodec codec = codec_of(random, {kind, false, Side::kKey, 3, 0});
    const size_t width = codec.mean.size();
    const std::vector<float> channels = random_values(random, 20 * width);
    std::vector<float> coefficients(channels.size()), back(channels.size());
    transform::forward(codec, channels, 20, coefficients);
    std::vector<uint16_t> rounded;
    for (const float y : coefficients) rounded.push_back(f32_to_bf16(y));
    transform::inverse(codec, rounded, 20, back);
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
