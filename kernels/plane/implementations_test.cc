// Every implementation against scalar, on inputs that each stress one thing: same bytes written,
// same coefficients and same KV read, at every level.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

// Values of one section of one layer, step 1, no transform: token-major.
struct Input {
  std::string kind;
  uint32_t tokens, channels;
  std::vector<uint8_t> drop_bits;
  std::function<double(std::mt19937&, uint32_t token, uint32_t channel)> draw;
};

double laplace(std::mt19937& random, double scale) {
  const double u = (below(random, 1u << 24) + 0.5) / (1u << 24);
  return (below(random, 2) == 0 ? scale : -scale) * -std::log(u);
}

std::vector<Input> inputs() {
  const auto of_scale = [](double scale) {
    return [scale](std::mt19937& random, uint32_t, uint32_t) { return laplace(random, scale); };
  };
  return {
      {"flat", 200, 256, {2, 1, 0}, of_scale(40)},
      {"peaked", 300, 256, {2, 1, 0}, of_scale(0.3)},
      {"many streams", 1024, 512, {3, 2, 1, 0}, of_scale(6)},
      {"escape-heavy", 150, 128, {3, 2, 1, 0}, of_scale(900)},
      {"wide escapes", 100, 96, {3, 0}, of_scale(3e6)},
      {"some wide escapes",
       120,
       128,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t) {
         return laplace(random, below(random, 300) == 0 ? 1e8 : 3);
       }},
      {"ragged tail", 77, 145, {2, 0}, of_scale(5)},
      {"narrow last group", 130, 33, {1, 0}, of_scale(4)},
      {"one narrow group", 500, 5, {2, 1, 0}, of_scale(4)},
      {"empty groups",
       256,
       320,
       {2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 3 == 0 ? laplace(random, 5) : 0.0;
       }},
      {"empty base",
       256,
       256,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 2 == 0 ? laplace(random, 0.7) : laplace(random, 8);
       }},
      {"one symbol", 64, 64, {1, 0}, [](std::mt19937&, uint32_t, uint32_t) { return 3.0; }},
      {"nothing but zeros", 64, 64, {1, 0}, [](std::mt19937&, uint32_t, uint32_t) { return 0.0; }},
      {"more passes than are fused", 200, 320, {6, 3, 0}, of_scale(60)},
      {"many passes, wide escapes", 120, 160, {5, 1, 0}, of_scale(3e5)},
      {"many passes, empty parts",
       90,
       224,
       {6, 5, 4, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return channel / 32 % 3 == 0 ? 0.0 : laplace(random, channel / 32 % 3 == 1 ? 4 : 200);
       }},
      {"many passes, narrow last group", 70, 145, {5, 0}, of_scale(5000)},
      {"narrow last group, escapes", 300, 49, {3, 2, 1, 0}, of_scale(200)},
      {"narrow last group, lone base", 300, 95, {0}, of_scale(9)},
      {"lone base with escapes",
       300,
       256,
       {0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return laplace(random, channel / 64 % 2 == 0 ? 8 : 40);
       }},
      {"two tokens", 2, 96, {3, 2, 1, 0}, of_scale(30)},
      {"three tokens", 3, 96, {3, 2, 1, 0}, of_scale(30)},
      {"one token", 1, 256, {2, 1, 0}, of_scale(10)},
      {"one level", 333, 192, {0}, of_scale(2)},
      {"planes without passes", 100, 128, {1, 1, 0, 0}, of_scale(5)},
      {"mixed classes",
       400,
       640,
       {3, 2, 1, 0},
       [](std::mt19937& random, uint32_t, uint32_t channel) {
         return laplace(random, std::exp2(channel / 32 % 7) / 2);
       }},
  };
}

Profile profile_of(const Input& input) {
  Profile profile;
  profile.geometry = {1, 1, input.channels, 1, input.channels};
  profile.levels = static_cast<uint32_t>(input.drop_bits.size());
  profile.sink_tokens = 0;
  profile.layer_rope = {kNoRope};
  profile.groups = {{0, 1}};
  SectionCodec section;
  section.rounding = 0.45f;
  section.drop_bits = input.drop_bits;
  for (uint32_t c = 0; c < input.channels; ++c) {
    section.mean.push_back(0.0f);
    section.scale.push_back(1.0f);
    section.order.push_back(c);
  }
  profile.sections = {section, section};
  std::vector<double> scales;
  for (double scale = 0.2; scale < 100; scale *= 2) scales.push_back(scale);
  profile.classes = laplace_classes(scales, 0.45, profile.passes());
  return profile;
}

TensorView view_of(const Input& input, const std::vector<float>& kv) {
  return {reinterpret_cast<const std::byte*>(kv.data()), size_t{input.channels} * sizeof(float)};
}

TEST(Implementations, WriteAndReadAsScalarDoes) {
  for (const Input& input : inputs()) {
    SCOPED_TRACE(input.kind);
    const Profile profile = profile_of(input);
    ASSERT_TRUE(validate(profile).ok()) << validate(profile).fault().what;
    std::mt19937 random(91);
    std::vector<float> kv;
    for (uint32_t t = 0; t < input.tokens; ++t) {
      for (uint32_t c = 0; c < input.channels; ++c)
        kv.push_back(static_cast<float>(input.draw(random, t, c)));
    }
    const TokenRange tokens{0, input.tokens};
    const TensorView view = view_of(input, kv);
    const Codec scalar(profile, Implementation::kScalar);
    const auto encoded = encode_section(scalar, 0, Side::kValue, tokens, DType::kF32, {&view, 1});
    ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
    for (const Implementation implementation : implementations()) {
      if (!runs_here(implementation)) continue;
      SCOPED_TRACE(implementation_name(implementation));
      const Codec codec(profile, implementation);
      const auto again = encode_section(codec, 0, Side::kValue, tokens, DType::kF32, {&view, 1});
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(again->planes, encoded->planes);
      EXPECT_EQ(again->squared_error, encoded->squared_error);
      for (size_t count = 1; count <= encoded->planes.size(); ++count) {
        const std::vector<std::span<const std::byte>> planes(
            encoded->planes.begin(), encoded->planes.begin() + static_cast<ptrdiff_t>(count));
        const auto expected = decode_coefficients(scalar, 0, Side::kValue, tokens, planes);
        const auto decoded = decode_coefficients(codec, 0, Side::kValue, tokens, planes);
        ASSERT_TRUE(expected.ok());
        ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
        ASSERT_EQ(*decoded, *expected) << count << " planes";
      }
    }
  }
}

// Both KV rows are within about a place of the exact one: RoPE and transforms add up values as
// large as the row's largest.
void expect_close(const std::vector<float>& row, const std::vector<float>& expected, DType dtype) {
  float largest = 0;
  for (const float x : expected) largest = std::max(largest, std::abs(x));
  const float place = last_place(dtype), subnormal = is_fp8(dtype) ? 0x1p-9f : 0;
  for (size_t i = 0; i < row.size(); ++i) {
    ASSERT_NEAR(row[i], expected[i], place * std::abs(expected[i]) + largest * 4e-6f + subnormal)
        << i;
  }
}

void compare_kv(const RandomSection& section, const Codec& scalar, const Codec& codec,
                std::span<const std::span<const std::byte>> planes) {
  const auto sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                                  section.views());
  Destination kv(section), expected(section);
  ASSERT_TRUE(decode_section(scalar, 0, section.side, section.tokens, section.dtype, planes, sinks,
                             expected.views())
                  .ok());
  ASSERT_TRUE(decode_section(codec, 0, section.side, section.tokens, section.dtype, planes, sinks,
                             kv.views())
                  .ok());
  EXPECT_TRUE(kv.gaps_untouched());
  for (uint32_t layer = 0; layer < section.rows.size(); ++layer) {
    for (uint32_t token = 0; token < section.tokens.count; ++token)
      expect_close(kv.row(layer, token), expected.row(layer, token), section.dtype);
  }
}

// Geometry, transforms, RoPE, sinks and element types at random.
TEST(Implementations, RandomSectionsAreReadAsScalarDoes) {
  std::mt19937 random(92);
  for (int trial = 0; trial < 40; ++trial) {
    const RandomSection section = random_section(random);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(encoded.ok());
    for (const Implementation implementation : implementations()) {
      if (!runs_here(implementation)) continue;
      const Codec codec(section.profile, implementation);
      const auto again =
          encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
      ASSERT_TRUE(again.ok());
      EXPECT_EQ(again->planes, encoded->planes);
      for (size_t count = 1; count <= encoded->planes.size(); ++count) {
        const std::vector<std::span<const std::byte>> planes(
            encoded->planes.begin(), encoded->planes.begin() + static_cast<ptrdiff_t>(count));
        const auto expected = decode_coefficients(scalar, 0, section.side, section.tokens, planes);
        const auto decoded = decode_coefficients(codec, 0, section.side, section.tokens, planes);
        ASSERT_TRUE(expected.ok());
        ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
        ASSERT_EQ(*decoded, *expected) << implementation_name(implementation) << " " << trial;
        compare_kv(section, scalar, codec, planes);
      }
    }
  }
}

// Every implementation refuses what scalar refuses, and reads the rest as scalar does.
TEST(Implementations, DamagedSectionsAreJudgedAsScalarDoes) {
  std::mt19937 random(93);
  int refused = 0;
  constexpr int kTrials = 150;
  for (int trial = 0; trial < kTrials; ++trial) {
    const RandomSection section = random_section(random);
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded =
        encode_section(scalar, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_TRUE(encoded.ok());
    auto damaged = encoded->planes;
    auto& plane = damaged[below(random, damaged.size())];
    if (plane.empty()) continue;
    if (below(random, 3) == 0) {
      plane.resize(below(random, plane.size()));
      plane.shrink_to_fit();
    } else {
      plane[below(random, plane.size())] ^= std::byte{static_cast<uint8_t>(1u << below(random, 8))};
    }
    const std::vector<std::span<const std::byte>> planes(damaged.begin(), damaged.end());
    const auto expected = decode_coefficients(scalar, 0, section.side, section.tokens, planes);
    refused += !expected.ok();
    for (const Implementation implementation : implementations()) {
      if (!runs_here(implementation)) continue;
      const Codec codec(section.profile, implementation);
      const auto decoded = decode_coefficients(codec, 0, section.side, section.tokens, planes);
      ASSERT_EQ(decoded.ok(), expected.ok())
          << implementation_name(implementation) << " "
          << (expected.ok() ? decoded.fault().what : expected.fault().what);
      if (expected) {
        EXPECT_EQ(*decoded, *expected);
      }
    }
  }
  EXPECT_GT(refused, kTrials / 2);
}

}  // namespace
}  // namespace kvcast::kernels
