#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace kvcast::kernels {
namespace {

struct Case {
  Rope::Layout layout;
  uint32_t head_dim, first_dim, rotary_dims;
  double attention_scaling;
};

Rope make_rope(const Case& c) {
  return {c.layout, c.first_dim, c.attention_scaling, rope_frequencies(10000.0, c.rotary_dims)};
}

std::vector<float> random_head(std::mt19937& random, uint32_t dim) {
  std::normal_distribution<float> normal;
  std::vector<float> head(dim);
  for (float& x : head) x = normal(random);
  return head;
}

std::vector<double> reference(const Rope& rope, double position, const std::vector<float>& head) {
  std::vector<double> rotated(head.begin(), head.end());
  const size_t n = rope.inv_freq.size();
  for (size_t i = 0; i < n; ++i) {
    const bool half = rope.layout == Rope::Layout::kHalfSplit;
    const size_t a = rope.first_dim + (half ? i : 2 * i);
    const size_t b = rope.first_dim + (half ? i + n : 2 * i + 1);
    const double angle = position * rope.inv_freq[i], x = head[a], y = head[b];
    rotated[a] = rope.attention_scaling * (x * std::cos(angle) - y * std::sin(angle));
    rotated[b] = rope.attention_scaling * (x * std::sin(angle) + y * std::cos(angle));
  }
  return rotated;
}

const Case kCases[] = {
    {Rope::Layout::kHalfSplit, 64, 0, 64, 1.0},     {Rope::Layout::kInterleaved, 64, 0, 64, 1.0},
    {Rope::Layout::kHalfSplit, 80, 0, 32, 1.0},     {Rope::Layout::kInterleaved, 80, 0, 32, 1.0},
    {Rope::Layout::kHalfSplit, 192, 128, 64, 1.37}, {Rope::Layout::kInterleaved, 192, 128, 64, 0.8},
    {Rope::Layout::kHalfSplit, 7, 1, 6, 1.0},       {Rope::Layout::kInterleaved, 3, 0, 2, 1.0},
};

TEST(Rope, FrequenciesFallGeometrically) {
  const std::vector<double> frequencies = rope_frequencies(10000.0, 64);
  ASSERT_EQ(frequencies.size(), 32u);
  EXPECT_EQ(frequencies[0], 1.0);
  EXPECT_NEAR(frequencies[16], 0.01, 1e-12);
}

RopeScaling scaling_by(RopeScaling::Rule rule, double factor, double trained_positions) {
  RopeScaling scaling;
  scaling.rule = rule;
  scaling.factor = factor;
  scaling.trained_positions = trained_positions;
  return scaling;
}

// The rules' own numbers are compared with transformers' in packager/rope_test.cc.
TEST(RopeScaling, NoRuleAndNeutralFactorsLeaveFrequenciesAlone) {
  const std::vector<double> plain = rope_frequencies(1e5, 48);
  using Rule = RopeScaling::Rule;
  for (const Rule rule : {Rule::kNone, Rule::kLinear, Rule::kDynamic, Rule::kYarn, Rule::kLlama3}) {
    const RopeFrequencies scaled = scaled_frequencies(1e5, 48, scaling_by(rule, 1, 4096));
    ASSERT_EQ(scaled.inv_freq.size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_NEAR(scaled.inv_freq[i], plain[i], 1e-15) << static_cast<int>(rule);
    EXPECT_EQ(scaled.attention_scaling, 1);
  }
}

TEST(RopeScaling, ShortWavelengthsStayAndLongOnesAreStretched) {
  using Rule = RopeScaling::Rule;
  const std::vector<double> plain = rope_frequencies(1e4, 64);
  for (const Rule rule : {Rule::kYarn, Rule::kLlama3}) {
    const RopeFrequencies scaled = scaled_frequencies(1e4, 64, scaling_by(rule, 8, 4096));
    EXPECT_DOUBLE_EQ(scaled.inv_freq.front(), plain.front());
    EXPECT_NEAR(scaled.inv_freq.back(), plain.back() / 8, 1e-18);
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_LE(scaled.inv_freq[i], plain[i] * (1 + 1e-12));
      EXPECT_GE(scaled.inv_freq[i], plain[i] / 8 * (1 - 1e-12));
    }
  }
}

TEST(RopeScaling, DynamicContextsStretchTheBaseBeyondTheTrainedPositionsOnly) {
  RopeScaling scaling = scaling_by(RopeScaling::Rule::kDynamic, 2, 1000);
  scaling.context_tokens = 999;
  EXPECT_EQ(scaled_frequencies(1e4, 8, scaling).inv_freq, rope_frequencies(1e4, 8));
  scaling.context_tokens = 3000;  // 2 * 3 - 1 times, to the power of 8/6
  EXPECT_EQ(scaled_frequencies(1e4, 8, scaling).inv_freq,
            rope_frequencies(1e4 * std::pow(5.0, 8.0 / 6), 8));
}

TEST(Rope, RedoMatchesTheDefinition) {
  std::mt19937 random(3);
  for (const Case& c : kCases) {
    const Rope rope = make_rope(c);
    for (const uint64_t begin : {uint64_t{0}, uint64_t{1021}, uint64_t{1} << 20}) {
      const RopeTable table(rope, begin, 5);
      for (uint32_t row = 0; row < 5; ++row) {
        std::vector<float> head = random_head(random, c.head_dim);
        const std::vector<double> expected =
            reference(rope, static_cast<double>(begin + row), head);
        table.redo(row, head);
        for (size_t d = 0; d < head.size(); ++d) ASSERT_NEAR(head[d], expected[d], 2e-6) << d;
      }
    }
  }
}

TEST(Rope, UndoRemovesWhatRedoAdds) {
  std::mt19937 random(4);
  for (const Case& c : kCases) {
    const Rope rope = make_rope(c);
    const RopeTable table(rope, 777, 9);
    for (uint32_t row = 0; row < 9; ++row) {
      const std::vector<float> original = random_head(random, c.head_dim);
      std::vector<float> head = original;
      table.redo(row, head);
      table.undo(row, head);
      for (size_t d = 0; d < head.size(); ++d) ASSERT_NEAR(head[d], original[d], 1e-6);
      table.undo(row, head);
      table.redo(row, head);
      for (size_t d = 0; d < head.size(); ++d) ASSERT_NEAR(head[d], original[d], 2e-6);
    }
  }
}

// A position's angles do not depend on what else is asked for, and are those of libm.
TEST(Rope, AnglesOfAPositionAreTheSameInEveryTile) {
  const Rope rope = make_rope({Rope::Layout::kHalfSplit, 64, 0, 64, 1.0});
  const RopeAngles angles(rope);
  const size_t frequencies = rope.inv_freq.size();
  for (const uint64_t begin : {uint64_t{0}, uint64_t{61}, uint64_t{4090}, uint64_t{262130}}) {
    constexpr size_t kCount = 150;
    std::vector<float> cosines(frequencies * kCount), sines(cosines.size());
    angles.columns(begin, kCount, kCount, cosines.data(), sines.data());
    for (size_t t = 0; t < kCount; ++t) {
      std::vector<float> cosine(frequencies), sine(frequencies);
      angles.columns(begin + t, 1, 1, cosine.data(), sine.data());
      for (size_t i = 0; i < frequencies; ++i) {
        ASSERT_EQ(cosines[i * kCount + t], cosine[i]);
        ASSERT_EQ(sines[i * kCount + t], sine[i]);
        const double angle = static_cast<double>(begin + t) * rope.inv_freq[i];
        ASSERT_NEAR(cosine[i], std::cos(angle), 4e-8);
        ASSERT_NEAR(sine[i], std::sin(angle), 4e-8);
      }
    }
  }
}

TEST(Rope, LeavesOtherDimsAlone) {
  const Rope rope = make_rope({Rope::Layout::kHalfSplit, 16, 4, 8, 2.0});
  std::vector<float> head(16, 1.0f);
  RopeTable(rope, 5, 1).redo(0, head);
  for (const size_t d : {0, 3, 12, 15}) EXPECT_EQ(head[d], 1.0f);
  EXPECT_NE(head[4], 1.0f);
}

}  // namespace
}  // namespace kvcast::kernels
