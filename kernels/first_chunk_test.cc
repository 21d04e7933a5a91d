#include "kernels/first_chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "kernels/plane.h"
#include "kernels/profile_format.h"
#include "kernels/rope.h"

namespace kvcast::kernels {
namespace {

using testing::HasSubstr;

constexpr Geometry kGeometry{2, 2, 24, 1, 40};

// A cache whose channels have means and scales of their own; `louder` multiplies deviations and
// moves means, as a later chunk of another text might.
struct Cache {
  TokenRange tokens;
  Geometry geometry;
  std::vector<std::vector<float>> keys, values;  // [layer][token * channels + channel], post-RoPE

  std::vector<TensorView> views(Side side) const {
    std::vector<TensorView> views;
    for (const auto& layer : side == Side::kKey ? keys : values) {
      views.push_back({reinterpret_cast<const std::byte*>(layer.data()),
                       geometry.channels(side) * sizeof(float)});
    }
    return views;
  }
};

std::vector<Rope> ropes() {
  return {{Rope::Layout::kHalfSplit, 0, 1.0, rope_frequencies(10000.0, 24)}};
}

Cache make_cache(const Geometry& geometry, TokenRange tokens, unsigned seed, float louder = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Cache cache{tokens, geometry, {}, {}};
  const Rope rope = ropes()[0];
  const RopeTable table(rope, tokens.begin, tokens.count);
  for (const Side side : {Side::kKey, Side::kValue}) {
    const uint32_t channels = geometry.channels(side);
    for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
      std::vector<float> x(size_t{tokens.count} * channels);
      for (size_t i = 0; i < x.size(); ++i) {
        const auto c = static_cast<float>(i % channels);
        x[i] = louder * (std::sin(c) + normal(random) * std::exp2(std::cos(3 * c) * 3));
      }
      for (size_t t = 0; side == Side::kKey && geometry.key_dim == 24 && t < tokens.count; ++t) {
        for (size_t h = 0; h < geometry.key_heads; ++h) {
          table.redo(static_cast<uint32_t>(t), std::span(x).subspan(t * channels + h * 24, 24));
        }
      }
      (side == Side::kKey ? cache.keys : cache.values).push_back(std::move(x));
    }
  }
  return cache;
}

Checked<Profile> measure(const Cache& cache, const FirstChunkParams& params = {}) {
  const bool rotary = cache.geometry.key_dim == 24;
  const std::vector<uint8_t> layer_rope(cache.geometry.layers, rotary ? uint8_t{0} : kNoRope);
  return measure_first_chunk(cache.geometry, rotary ? ropes() : std::vector<Rope>{}, layer_rope,
                             cache.tokens, DType::kF32, cache.views(Side::kKey),
                             cache.views(Side::kValue), params);
}

TEST(FirstChunk, ProfileIsValidAndCanBeStored) {
  for (const Geometry& geometry :
       {kGeometry, Geometry{1, 1, 1, 1, 1}, Geometry{3, 1, 24, 0, 0}, Geometry{2, 5, 33, 7, 8}}) {
    const Checked<Profile> profile = measure(make_cache(geometry, {0, 200}, 40));
    ASSERT_TRUE(profile.ok()) << profile.fault().what;
    const Check valid = validate(*profile);
    ASSERT_TRUE(valid.ok()) << valid.fault().what;
    EXPECT_EQ(profile->groups.size(), geometry.layers);
    EXPECT_EQ(profile->sections[0].drop_bits, (std::vector<uint8_t>{3, 2, 1, 0}));
    const std::vector<Section> sections = write_profile(*profile);
    std::vector<SectionView> views;
    for (const Section& section : sections) views.push_back({section.id, section.bytes});
    const Checked<Profile> back = read_profile(views);
    ASSERT_TRUE(back.ok()) << back.fault().what;
    EXPECT_EQ(*back, *profile);
  }
}

TEST(FirstChunk, MomentsAreTheChannelsOwnWithoutSinks) {
  Cache cache = make_cache(kGeometry, {0, 3000}, 41);
  for (size_t i = 0; i < 4 * 40; ++i) cache.values[0][i] = 1e4f;  // sinks
  const Checked<Profile> profile = measure(cache);
  ASSERT_TRUE(profile.ok());
  for (const uint32_t section : {0u, 1u}) {
    for (size_t c = 0; c < 40; ++c) {
      const double deviation = std::exp2(std::cos(3.0 * static_cast<double>(c)) * 3);
      EXPECT_NEAR(profile->sections[section].scale[c] / deviation, 1, 0.08);
      EXPECT_NEAR(profile->sections[section].mean[c], std::sin(static_cast<double>(c)),
                  0.1 * deviation);
    }
  }
}

TEST(FirstChunk, IsDeterministic) {
  const Cache cache = make_cache(kGeometry, {0, 300}, 42);
  const Checked<Profile> first = measure(cache), second = measure(cache);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
}

// Codes a chunk at every level; the finest must be within a step of the original.
void expect_codable(const Profile& profile, const Cache& cache) {
  const Codec codec(profile);
  for (uint32_t layer = 0; layer < cache.geometry.layers; ++layer) {
    const std::vector<TensorView> view = {cache.views(Side::kValue)[layer]};
    const auto encoded =
        encode_section(codec, layer, Side::kValue, cache.tokens, DType::kF32, view);
    ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
    const auto sinks = encode_sinks(profile, layer, Side::kValue, cache.tokens, DType::kF32, view);
    for (size_t level = 1; level < profile.levels; ++level) {
      EXPECT_LE(encoded->squared_error[level], encoded->squared_error[level - 1]);
    }
    std::vector<std::span<const std::byte>> planes(encoded->planes.begin(), encoded->planes.end());
    const uint32_t channels = cache.geometry.channels(Side::kValue);
    std::vector<float> back(cache.values[layer].size());
    const std::vector<MutableTensorView> to = {
        {reinterpret_cast<std::byte*>(back.data()), channels * sizeof(float)}};
    const Check decoded =
        decode_section(codec, layer, Side::kValue, cache.tokens, DType::kF32, planes, sinks, to);
    ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
    const SectionCodec& section = profile.section(layer, Side::kValue);
    for (size_t i = 0; i < back.size(); ++i) {
      const size_t c = i % channels;
      const float original = cache.values[layer][i];
      const float rounding =
          0x1p-7f * std::fabs(original - section.mean[c]) + 0x1p-20f * std::fabs(section.mean[c]);
      ASSERT_NEAR(back[i], original, section.scale[c] * section.step + rounding) << i;
    }
  }
}

TEST(FirstChunk, CodesLaterChunksWhoseStatisticsMoved) {
  const Checked<Profile> profile = measure(make_cache(kGeometry, {0, 256}, 43));
  ASSERT_TRUE(profile.ok());
  for (const float louder : {0.0f, 0.01f, 1.0f, 5.0f, 300.0f, 1e6f}) {
    expect_codable(*profile, make_cache(kGeometry, {256, 64}, 44, louder));
  }
}

TEST(FirstChunk, ConstantChannelsMayVaryLater) {
  Cache cache = make_cache(kGeometry, {0, 128}, 45);
  for (size_t i = 0; i < cache.values[0].size(); ++i) {
    if (i % 40 == 3) cache.values[0][i] = 7;
    if (i % 40 == 4) cache.values[0][i] = 0;
    cache.values[1][i] = 0;
  }
  const Checked<Profile> profile = measure(cache);
  ASSERT_TRUE(profile.ok());
  EXPECT_TRUE(validate(*profile).ok());
  expect_codable(*profile, cache);
  expect_codable(*profile, make_cache(kGeometry, {128, 128}, 46));
}

TEST(FirstChunk, ShortestContexts) {
  const Cache later = make_cache(kGeometry, {40, 100}, 47);
  for (const uint32_t tokens : {1u, 2u, 4u, 5u, 6u, 31u}) {
    const Checked<Profile> profile = measure(make_cache(kGeometry, {0, tokens}, 48));
    ASSERT_TRUE(profile.ok()) << profile.fault().what;
    ASSERT_TRUE(validate(*profile).ok());
    if (tokens <= 4) {
      EXPECT_EQ(profile->sections[1].mean, std::vector<float>(40, 0.0f));
    }
    for (const float scale : profile->sections[1].scale) EXPECT_GT(scale, 0.2f);
    expect_codable(*profile, later);
  }
}

size_t key_bytes(const Profile& profile, const Cache& cache) {
  const Codec codec(profile);
  size_t bytes = 0;
  for (uint32_t layer = 0; layer < cache.geometry.layers; ++layer) {
    const std::vector<TensorView> view = {cache.views(Side::kKey)[layer]};
    const auto encoded = encode_section(codec, layer, Side::kKey, cache.tokens, DType::kF32, view);
    for (const auto& plane : encoded->planes) bytes += plane.size();
  }
  return bytes;
}

TEST(FirstChunk, TrainedClassesSaveBytesOverTheFamilyAlone) {
  const Geometry geometry{8, 4, 24, 4, 24};
  const Cache cache = make_cache(geometry, {0, 1024}, 49);
  const Checked<Profile> trained = measure(cache);
  ASSERT_TRUE(trained.ok());
  Profile family = *trained;
  ASSERT_GT(family.classes.size(), 24u);
  family.classes.resize(24);
  EXPECT_LT(key_bytes(*trained, cache), key_bytes(family, cache));
}

TEST(FirstChunk, NaNIsRefusedByLayerAndSide) {
  Cache cache = make_cache(kGeometry, {0, 50}, 50);
  cache.values[1][17 * 40 + 5] = std::numeric_limits<float>::quiet_NaN();
  const Checked<Profile> values = measure(cache);
  ASSERT_FALSE(values.ok());
  EXPECT_THAT(values.fault().what, HasSubstr("values"));
  EXPECT_THAT(values.fault().what, HasSubstr("layer 1"));
  EXPECT_EQ(values.fault().offset, 17u * 40 + 5);
  cache.keys[0][2] = std::numeric_limits<float>::infinity();  // a sink
  const Checked<Profile> keys = measure(cache);
  ASSERT_FALSE(keys.ok());
  EXPECT_THAT(keys.fault().what, HasSubstr("keys"));
  EXPECT_EQ(keys.fault().offset, 2u);
}

TEST(FirstChunk, BadParametersAreRefused) {
  const Cache cache = make_cache(kGeometry, {0, 50}, 51);
  EXPECT_FALSE(measure(cache, {.levels = 0}).ok());
  EXPECT_FALSE(measure(cache, {.levels = 9}).ok());
  EXPECT_FALSE(measure(cache, {.step = 0}).ok());
  EXPECT_FALSE(measure(cache, {.step = std::numeric_limits<float>::infinity()}).ok());
  EXPECT_FALSE(measure(cache, {.rounding = 0.7f}).ok());
  EXPECT_FALSE(measure(cache, {.sink_tokens = 65}).ok());
  for (uint32_t levels = 1; levels <= 8; ++levels) {
    const Checked<Profile> profile = measure(cache, {.levels = levels});
    ASSERT_TRUE(profile.ok());
    EXPECT_TRUE(validate(*profile).ok());
  }
}

}  // namespace
}  // namespace kvcast::kernels
