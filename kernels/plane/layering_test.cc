// What levels cost: all planes of a section together against its finest level coded at once, each
// with its own tables.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kChannels = 128;
constexpr float kStep = 0.2f;

Profile profile_with_ladder(const std::vector<uint8_t>& ladder) {
  Profile profile;
  profile.geometry = {1, 1, kChannels, 1, kChannels};
  profile.groups = {{0, 1}};
  profile.levels = static_cast<uint32_t>(ladder.size());
  profile.sink_tokens = 0;
  profile.layer_rope = {kNoRope};
  SectionCodec codec;
  codec.step = kStep;
  codec.rounding = 0.4f;
  codec.drop_bits = ladder;
  codec.mean.assign(kChannels, 0);
  codec.scale.assign(kChannels, 1);
  for (uint32_t c = 0; c < kChannels; ++c) codec.order.push_back(c);
  profile.sections = {codec, codec};
  std::vector<double> scales;
  for (double scale = 0.1; scale < 4; scale *= 1.3) scales.push_back(scale);
  profile.classes = laplace_classes(scales, 0.4, profile.passes());
  return profile;
}

// Laplace channels whose scales fall from 0.4 (2 steps) to 0.04, as after a transform.
RandomSection falling_spectrum(std::mt19937& random, uint32_t tokens) {
  RandomSection section;
  section.side = Side::kValue;
  section.tokens = {4096, tokens};
  section.dtype = DType::kF32;
  section.token_stride_bytes = kChannels * 4;
  section.rows.assign(1, std::vector<std::byte>(section.token_stride_bytes * tokens));
  for (uint32_t t = 0; t < tokens; ++t) {
    for (uint32_t c = 0; c < kChannels; ++c) {
      std::exponential_distribution<float> magnitude(
          std::pow(10.0f, static_cast<float>(c) / kChannels));
      const float y = (below(random, 2) == 0 ? 0.4f : -0.4f) * magnitude(random);
      section.set_value(0, t, c, y);
    }
  }
  return section;
}

double layered_over_flat(uint32_t tokens) {
  std::mt19937 random(40);
  const RandomSection section = falling_spectrum(random, tokens);
  const Profile layered_profile = profile_with_ladder({3, 2, 1, 0}),
                flat_profile = profile_with_ladder({0});
  const Codec layered(layered_profile), flat(flat_profile);
  const auto planes =
      *encode_section(layered, 0, section.side, section.tokens, section.dtype, section.views());
  const auto at_once =
      encode_section(flat, 0, section.side, section.tokens, section.dtype, section.views())
          ->planes[0];
  size_t bytes = 0;
  for (const auto& plane : planes.planes) bytes += plane.size();
  const double ratio = static_cast<double>(bytes) / static_cast<double>(at_once.size());
  std::printf(
      "%5u tokens: base %zu, all planes %zu, flat %zu bytes (%.3f bits/symbol): ratio %.4f\n",
      tokens, planes.planes[0].size(), bytes, at_once.size(),
      8.0 * static_cast<double>(at_once.size()) / (tokens * kChannels), ratio);
  return ratio;
}

TEST(Layering, CostsLittle) {
  EXPECT_LE(layered_over_flat(1024), 1.03);
  EXPECT_LE(layered_over_flat(256), 1.08);
  EXPECT_LE(layered_over_flat(128), 1.15);
}

}  // namespace
}  // namespace kvcast::kernels
