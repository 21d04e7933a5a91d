// Every implementation against scalar, on inputs that each stress one thing: same bytes written,
// same coefficients and same KV read, at every level.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/entropy/random_table.h"
#include "kernels/plane.h"
#include "kernels/plane/named_inputs.h"
#include "kernels/plane/random_section.h"

namespace kvcast::kernels {
namespace {

TEST(Implementations, WriteAndReadAsScalarDoes) {
  for (const NamedInput& input : named_inputs()) {
    SCOPED_TRACE(input.kind);
    const Profile profile = profile_of(input);
    ASSERT_TRUE(validate(profile).ok()) << validate(profile).fault().what;
    const std::vector<float> kv = draw_values(input, 91);
    const TokenRange tokens{0, input.tokens};
    const TensorView view = view_of(input, kv);
    const Codec scalar(profile, Implementation::kScalar);
    const ValueChoice values = ValueChoice::kRateDistortion;
    const auto encoded =
        encode_section(scalar, 0, Side::kValue, tokens, DType::kF32, {&view, 1}, values);
    ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
    for (const Implementation implementation : implementations()) {
      if (!runs_here(implementation)) continue;
      SCOPED_TRACE(implementation_name(implementation));
      const Codec codec(profile, implementation);
      const auto again =
          encode_section(codec, 0, Side::kValue, tokens, DType::kF32, {&view, 1}, values);
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
    const ValueChoice values =
        trial % 2 == 0 ? ValueChoice::kNearest : ValueChoice::kRateDistortion;
    const Codec scalar(section.profile, Implementation::kScalar);
    const auto encoded = encode_section(scalar, 0, section.side, section.tokens, section.dtype,
                                        section.views(), values);
    ASSERT_TRUE(encoded.ok());
    for (const Implementation implementation : implementations()) {
      if (!runs_here(implementation)) continue;
      const Codec codec(section.profile, implementation);
      const auto again = encode_section(codec, 0, section.side, section.tokens, section.dtype,
                                        section.views(), values);
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
