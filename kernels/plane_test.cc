#include "kernels/plane.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "kernels/entropy/random_table.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/random_section.h"
#include "kernels/quantise/quantiser.h"
#include "kernels/rope.h"

namespace kvcast::kernels {
namespace {

std::vector<std::span<const std::byte>> first_planes(const EncodedSection& encoded, size_t count) {
  return {encoded.planes.begin(), encoded.planes.begin() + static_cast<ptrdiff_t>(count)};
}

// A section, encoded, and the numbers it was made of.
struct Case {
  explicit Case(RandomSection made) : section(std::move(made)), codec(section.profile) {
    EXPECT_TRUE(validate(section.profile).ok());
    shape = *shape_of_section(section.profile, section.group, section.side, section.tokens);
    auto result =
        encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
    EXPECT_TRUE(result.ok()) << result.fault().what;
    encoded = std::move(*result);
    sinks = encode_sinks(section.profile, 0, section.side, section.tokens, section.dtype,
                         section.views());
    const auto by_group = *load_coefficients(shape, section.dtype, section.views());
    y.resize(by_group.size());
    for (uint32_t g = 0, p = 0; g < shape.groups; ++g) {
      for (uint32_t lane = 0; lane < shape.lanes(g); ++lane, ++p) {
        for (uint32_t t = 0; t < shape.coded_tokens; ++t) {
          y[size_t{t} * shape.coefficients + p] =
              by_group[size_t{g} * kLanes * shape.coded_tokens + size_t{t} * shape.lanes(g) + lane];
        }
      }
    }
    q.resize(y.size());
    quantise(y, shape.codec->step, shape.codec->rounding, q);
  }

  uint32_t dropped_bits(size_t level) const { return shape.codec->drop_bits[level]; }
  // The class of a coded position, as the base section says.
  const ScaleClass& class_of(size_t position) const {
    return section.profile
        .classes[static_cast<uint8_t>(encoded.planes[0][16 + position / kLanes]) & 0x3F];
  }
  // plane_format.md, section 2, spelt out once more.
  uint16_t expected(size_t i, size_t level) const {
    const auto& fractions =
        class_of(i % shape.coefficients).reconstruction[dropped_bits(0) - dropped_bits(level)];
    const int32_t value = drop_bits(q[i], dropped_bits(level));
    if (value == 0) return 0;
    const float a = static_cast<float>(std::abs(value));
    const float inside = a == 1 ? fractions[0] : fractions[1];
    const float cell = a + inside;
    const float scaled = cell * static_cast<float>(1 << dropped_bits(level));
    const float shifted = scaled - shape.codec->rounding;
    const float magnitude = shape.codec->step * shifted;
    return f32_to_bf16(value < 0 ? -magnitude : magnitude);
  }
  Checked<std::vector<uint16_t>> decode(size_t planes) const {
    return decode_coefficients(codec, 0, section.side, section.tokens,
                               first_planes(encoded, planes));
  }

  RandomSection section;
  Codec codec;
  SectionShape shape;
  EncodedSection encoded;
  std::vector<std::byte> sinks;
  std::vector<float> y;    // [coded token][coefficient]
  std::vector<int32_t> q;  // finest
};

std::unique_ptr<Case> random_case(std::mt19937& random) {
  return std::make_unique<Case>(random_section(random));
}

TEST(Plane, SymbolsComeBackAtEveryLevel) {
  std::mt19937 random(10);
  for (int trial = 0; trial < 60; ++trial) {
    const auto c = random_case(random);
    ASSERT_EQ(c->encoded.planes.size(), c->section.profile.levels);
    for (size_t level = 0; level < c->section.profile.levels; ++level) {
      const auto decoded = c->decode(level + 1);
      ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
      ASSERT_EQ(decoded->size(), c->q.size());
      for (size_t i = 0; i < c->q.size(); ++i)
        ASSERT_EQ((*decoded)[i], c->expected(i, level)) << trial << " " << i;
    }
  }
}

TEST(Plane, ErrorsStayInTheQuantisersCells) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 30; ++trial) {
    const auto c = random_case(random);
    for (size_t level = 0; level < c->section.profile.levels; ++level) {
      const auto decoded = *c->decode(level + 1);
      const double cell = c->shape.codec->step * std::exp2(c->dropped_bits(level));
      double squared_error = 0, energy = 0;
      for (size_t i = 0; i < decoded.size(); ++i) {
        const double error = double{bf16_to_f32(decoded[i])} - double{c->y[i]};
        // A cell, rounding to bf16 (8 bits) and the quantiser's own fp32 arithmetic.
        ASSERT_LE(std::abs(error), cell * 1.0001 + std::abs(c->y[i]) * (1.0 / 256 + 1e-5));
        squared_error += error * error;
        energy += double{c->y[i]} * double{c->y[i]};
      }
      ASSERT_NEAR(c->encoded.squared_error[level], squared_error, 1e-9 * (squared_error + 1));
      ASSERT_NEAR(c->encoded.energy, energy, 1e-9 * (energy + 1));
    }
  }
}

// One token's error in normalised units, RoPE undone: a near-orthonormal transform keeps its norm.
double normalised_error(const Case& c, const Destination& destination, uint32_t token,
                        double& source_norm) {
  double squared = 0;
  source_norm = 0;
  for (uint32_t layer = 0; layer < c.section.rows.size(); ++layer) {
    std::vector<float> difference = destination.row(layer, token);
    const uint32_t dim = c.section.profile.geometry.dim(c.section.side);
    const size_t first = size_t{layer} * difference.size();
    for (uint32_t channel = 0; channel < difference.size(); ++channel) {
      const float x = c.section.value(layer, token, channel);
      const double largest = double{std::abs(x)} / c.shape.codec->scale[first + channel];
      source_norm += largest * largest;
      difference[channel] -= x;
    }
    const uint8_t rope = c.section.profile.layer_rope[layer];
    if (c.section.side == Side::kKey && rope != kNoRope) {
      const RopeTable table(c.section.profile.ropes[rope], c.section.tokens.begin + token, 1);
      for (size_t h = 0; h < difference.size(); h += dim)
        table.undo(0, std::span(difference).subspan(h, dim));
    }
    for (uint32_t channel = 0; channel < difference.size(); ++channel) {
      const double error = double{difference[channel]} / c.shape.codec->scale[first + channel];
      squared += error * error;
    }
  }
  source_norm = std::sqrt(source_norm);
  return std::sqrt(squared);
}

TEST(Plane, SectionsComeBackWithTheErrorOfTheirCoefficients) {
  std::mt19937 random(12);
  for (int trial = 0; trial < 80; ++trial) {
    const auto c = random_case(random);
    const size_t planes = 1 + below(random, c->encoded.planes.size());
    Destination destination(c->section);
    const Check check =
        decode_section(c->codec, 0, c->section.side, c->section.tokens, c->section.dtype,
                       first_planes(c->encoded, planes), c->sinks, destination.views());
    ASSERT_TRUE(check.ok()) << check.fault().what;
    EXPECT_TRUE(destination.gaps_untouched());
    if (c->section.truncated) continue;
    const auto decoded = *c->decode(planes);
    for (uint32_t t = 0; t < c->shape.coded_tokens; ++t) {
      double squared = 0, norm = 0, source_norm = 0;
      for (size_t i = size_t{t} * c->shape.coefficients; i < size_t{t + 1} * c->shape.coefficients;
           ++i) {
        squared += std::pow(double{bf16_to_f32(decoded[i])} - double{c->y[i]}, 2);
        norm += double{c->y[i]} * double{c->y[i]};
      }
      const double error = normalised_error(*c, destination, c->shape.sinks + t, source_norm);
      const double element_type = std::max(1.0 / 1024, double{last_place(c->section.dtype)});
      ASSERT_NEAR(error, std::sqrt(squared),
                  0.02 * std::sqrt(norm) + element_type * source_norm + 1e-3)
          << trial;
    }
  }
}

TEST(Plane, SinkTokensAreExact) {
  std::mt19937 random(13);
  int with_sinks = 0, nothing_else = 0;
  for (int trial = 0; trial < 60; ++trial) {
    RandomSection section = random_section(random);
    section.tokens.begin = below(random, 6);
    if (trial % 3 == 0) section.tokens.count = 1 + below(random, 3);
    for (auto& rows : section.rows) rows.resize(section.tokens.count * section.token_stride_bytes);
    const auto c = std::make_unique<Case>(std::move(section));
    with_sinks += c->shape.sinks > 0;
    nothing_else += c->shape.sinks == c->section.tokens.count;
    for (size_t planes = 1; planes <= c->encoded.planes.size(); ++planes) {
      Destination destination(c->section);
      ASSERT_TRUE(decode_section(c->codec, 0, c->section.side, c->section.tokens, c->section.dtype,
                                 first_planes(c->encoded, planes), c->sinks, destination.views())
                      .ok());
      for (uint32_t layer = 0; layer < c->section.rows.size(); ++layer) {
        for (uint32_t t = 0; t < c->shape.sinks; ++t) {
          const auto row = destination.raw_row(layer, t);
          ASSERT_TRUE(std::equal(row.begin(), row.end(),
                                 c->section.rows[layer].begin() +
                                     static_cast<ptrdiff_t>(t * c->section.token_stride_bytes)));
        }
      }
    }
  }
  EXPECT_GT(with_sinks, 10);
  EXPECT_GT(nothing_else, 3);
}

// A plain section for tests that change one thing: 2 heads of 20, 50 tokens, all zero.
RandomSection quiet_section(std::vector<uint8_t> ladder) {
  std::mt19937 random(14);
  RandomSection section = random_section(random);
  Profile& profile = section.profile;
  profile.geometry = {1, 2, 20, 2, 20};
  profile.groups = {{0, 1}};
  profile.levels = static_cast<uint32_t>(ladder.size());
  profile.sink_tokens = 0;
  profile.ropes.clear();
  profile.layer_rope = {kNoRope};
  SectionCodec codec;
  codec.step = 0.25f;
  codec.drop_bits = ladder;
  codec.mean.assign(40, 0);
  codec.scale.assign(40, 1);
  for (uint32_t c = 0; c < 40; ++c) codec.order.push_back(c);
  profile.sections = {codec, codec};
  for (ScaleClass& scale_class : profile.classes) {
    scale_class.passes.resize(profile.passes(), {{{{4094, 1, 1}}, {{2048, 2048}}, {{2048, 2048}}}});
    scale_class.reconstruction.resize(profile.passes() + 1, {0.5f, 0.5f});
  }
  section.side = Side::kValue;
  section.tokens = {100, 50};
  section.dtype = DType::kF32;
  section.token_stride_bytes = 160;
  section.rows.assign(1, std::vector<std::byte>(160 * 50));
  return section;
}

TEST(Plane, NothingButZerosCostsHeaders) {
  const Case c(quiet_section({3, 2, 1, 0}));
  EXPECT_EQ(c.encoded.planes[0].size(), 20u);  // header, two groups, padding
  for (size_t plane = 1; plane < 4; ++plane) EXPECT_EQ(c.encoded.planes[plane].size(), 8u);
  EXPECT_EQ(c.encoded.energy, 0);
  EXPECT_EQ(*c.decode(4), std::vector<uint16_t>(50 * 40));
}

TEST(Plane, PlanesWithoutPassesAreEmpty) {
  const Case c(quiet_section({2, 2, 0}));
  EXPECT_TRUE(c.encoded.planes[1].empty());
  EXPECT_FALSE(c.encoded.planes[2].empty());
}

TEST(Plane, HugeValuesEscape) {
  for (const float huge : {100.0f, 1e4f, 1e7f, 3e38f}) {
    RandomSection section = quiet_section({3, 2, 1, 0});
    section.set_value(0, 7, 3, huge);
    section.set_value(0, 9, 39, -huge);
    const Case c(std::move(section));
    const auto level0 = *c.decode(1), level3 = *c.decode(4);
    for (size_t i = 0; i < level3.size(); ++i) {
      ASSERT_EQ(level3[i], c.expected(i, 3));
      ASSERT_EQ(level0[i], c.expected(i, 0));
    }
    EXPECT_NEAR(bf16_to_f32(level3[7 * 40 + 3]), std::min(huge, 0.25f * (1 << 30)), huge / 128);
  }
}

TEST(Plane, NanAndInfinityAreRefusedByIndex) {
  std::mt19937 random(16);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    RandomSection section = random_section(random);
    while (section.width() == 0) section = random_section(random);
    const uint32_t layer = below(random, section.rows.size()),
                   token = below(random, section.tokens.count);
    const uint32_t channels = section.profile.geometry.channels(section.side),
                   channel = below(random, channels);
    section.set_value(layer, token, channel, bad);
    const Codec codec(section.profile);
    const auto encoded =
        encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
    ASSERT_FALSE(encoded.ok());
    EXPECT_EQ(encoded.fault().offset,
              (size_t{layer} * section.tokens.count + token) * channels + channel);
    EXPECT_NE(encoded.fault().what.find(std::isnan(bad) ? "NaN" : "infinity"), std::string::npos);
  }
}

TEST(Plane, OverflowInTheTransformIsAFault) {
  RandomSection section = quiet_section({0});
  section.profile.sections[1].scale[5] = 0.01f;
  section.set_value(0, 7, 5, 3e38f);
  const Codec codec(section.profile);
  const auto encoded =
      encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
  ASSERT_FALSE(encoded.ok());
  EXPECT_NE(encoded.fault().what.find("token 107"), std::string::npos);
  EXPECT_EQ(encoded.fault().offset, 7u * 40);
}

TEST(Plane, AGroupThatNoClassCanCodeIsAFault) {
  RandomSection section = quiet_section({0});
  section.profile.classes = {section.profile.classes.back()};  // zeros only
  section.set_value(0, 0, 0, 5);
  const Codec codec(section.profile);
  const auto encoded =
      encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views());
  ASSERT_FALSE(encoded.ok());
  EXPECT_NE(encoded.fault().what.find("no class"), std::string::npos);
}

TEST(Plane, TooManyPlanesTokensOrSymbolsAreFaults) {
  const Case c(quiet_section({1, 0}));
  auto planes = first_planes(c.encoded, 2);
  planes.push_back({});
  EXPECT_FALSE(decode_coefficients(c.codec, 0, Side::kValue, c.section.tokens, planes).ok());
  EXPECT_FALSE(decode_coefficients(c.codec, 0, Side::kValue, c.section.tokens, {}).ok());
  const TokenRange long_chunk{100, (1u << 20) + 1};
  EXPECT_FALSE(
      decode_coefficients(c.codec, 0, Side::kValue, long_chunk, first_planes(c.encoded, 1)).ok());
}

}  // namespace
}  // namespace kvcast::kernels
