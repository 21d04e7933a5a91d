#include "kernels/plane/value_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

#include "kernels/entropy/random_table.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/plane/random_section.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

constexpr double kLambda = 0.7 * 0.69314718056 / 6;  // of a cell squared, for a bit

SectionCodec codec_with(std::vector<uint8_t> ladder, float rounding) {
  SectionCodec codec;
  codec.drop_bits = std::move(ladder);
  codec.rounding = rounding;
  return codec;
}

Profile profile_with(std::vector<ScaleClass> classes) {
  Profile profile;
  profile.classes = std::move(classes);
  return profile;
}

// Of one class: bits that symbols cost by the class's own frequencies.
double bits_of(const ProbabilityTable& table, size_t symbol) {
  return std::log2(4096.0 / table.frequency[symbol]);
}

// Squared error / lambda + bits of each level, summed. The value is `place` steps.
double cost(const ScaleClass& of, const SectionCodec& codec, double place, int32_t q) {
  const int32_t dropped = codec.drop_bits[0];
  double bits = 0, sum = 0;
  size_t level = 0;
  for (int32_t left = dropped; left >= 0; --left) {
    const int32_t magnitude = q >> left;
    if (left == dropped) {
      const auto m = static_cast<int32_t>(of.base.frequency.size() / 2) - 1;
      const bool escapes = magnitude > m;
      bits = escapes ? 16 + bits_of(of.base, of.base.frequency.size() - 1)
                     : bits_of(of.base, static_cast<size_t>(m + magnitude));
    } else {
      const int32_t before = q >> (left + 1);
      const auto pass = static_cast<size_t>(dropped - left - 1);
      bits += bits_of(of.passes[pass][static_cast<size_t>(std::min(before, 2))],
                      static_cast<size_t>(magnitude & 1));
    }
    for (; level < codec.drop_bits.size() && codec.drop_bits[level] == left; ++level) {
      const double cell = std::exp2(left);
      const auto& fraction = of.reconstruction[static_cast<size_t>(dropped - left)];
      const double y = magnitude == 0
                           ? 0
                           : (magnitude + double{fraction[magnitude == 1 ? 0 : 1]}) * cell -
                                 double{codec.rounding};
      sum += (place - y) * (place - y) / (kLambda * cell * cell) + bits;
    }
  }
  return sum;
}

int32_t moved(const ValueThresholds& thresholds, const SectionCodec& codec, float place) {
  int32_t q = 0;
  scalar::kQuantisingKernels.quantise(&place, 1, 1, codec.rounding, &thresholds, &q);
  return q;
}

// Values over a fine grid take the cheapest of three; the class is symmetrical.
TEST(ValueChoice, TakesTheCheapestNeighbourOverAllLevels) {
  for (const auto& ladder : {std::vector<uint8_t>{0}, {3, 2, 1, 0}, {2, 2, 0}}) {
    for (const double scale : {0.3, 1.0, 6.0}) {
      const float rounding = 0.45f;
      const SectionCodec section = codec_with(ladder, rounding);
      const Profile profile =
          profile_with(laplace_classes(std::array{scale}, double{rounding}, ladder.front()));
      const Codec codec(profile);
      const ScaleClass& of = profile.classes[0];
      const ValueThresholds thresholds = value_thresholds(codec.tables().classes[0], of, section);
      int others = 0;
      for (float place = 0; place < 60; place += 0.0173f) {
        const auto nearest = static_cast<int32_t>(place + rounding);
        const int32_t chosen = moved(thresholds, section, place);
        ASSERT_LE(std::abs(chosen - nearest), 1);
        others += chosen != nearest;
        const double least = cost(of, section, double{place}, chosen);
        for (const int32_t other : {nearest - 1, nearest, nearest + 1}) {
          if (other < 0) continue;
          ASSERT_LE(least, cost(of, section, double{place}, other) + 0.05)
              << place << " as " << chosen << " or " << other << ", scale " << scale;
        }
      }
      EXPECT_GT(others, 0);
    }
  }
}

TEST(ValueChoice, LeavesLargeValuesAndKeepsAwayFromSymbolsThatTheClassLacks) {
  auto classes = laplace_classes(std::array{1.0}, 0.5, 1);
  classes[0].passes[0][1].frequency = {4096, 0};  // no 3, no -3
  const Profile profile = profile_with(classes);
  const Codec codec(profile);
  const SectionCodec section = codec_with({1, 0}, 0.5f);
  const ValueThresholds thresholds =
      value_thresholds(codec.tables().classes[0], profile.classes[0], section);
  for (float place = 0; place < 2.5f; place += 0.01f)
    ASSERT_LE(moved(thresholds, section, place), 2);
  for (float place = 3.5f; place < 4.5f; place += 0.01f)
    ASSERT_GE(moved(thresholds, section, place), 4);
  for (const float place : {63.4f, 64.49f, 1000.6f, 1e9f})
    EXPECT_EQ(moved(thresholds, section, place), static_cast<int32_t>(place + 0.5f));
}

// Squared error / lambda + bits of each level, summed.
double cost(const EncodedSection& encoded, const SectionCodec& codec) {
  double bits = 0, sum = 0;
  for (size_t level = 0; level < encoded.planes.size(); ++level) {
    bits += 8 * static_cast<double>(encoded.planes[level].size());
    const double cell = double{codec.step} * std::exp2(codec.drop_bits[level]);
    sum += encoded.squared_error[level] / (kLambda * cell * cell) + bits;
  }
  return sum;
}

TEST(ValueChoice, LowersWhatSectionsCost) {
  std::mt19937 random(33);
  constexpr int kTrials = 30;
  double ratios = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const RandomSection section = random_section(random);
    const Codec codec(section.profile);
    const SectionCodec& of = section.profile.section(0, section.side);
    const auto encoded = [&](ValueChoice values) {
      return *encode_section(codec, 0, section.side, section.tokens, section.dtype, section.views(),
                             values);
    };
    const double nearest = cost(encoded(ValueChoice::kNearest), of);
    const double ratio = cost(encoded(ValueChoice::kRateDistortion), of) / nearest;
    EXPECT_LT(ratio, 1.002) << trial;  // streams may be cut otherwise
    ratios += ratio;
  }
  EXPECT_LT(ratios / kTrials, 0.993);
}

}  // namespace
}  // namespace kvcast::kernels
