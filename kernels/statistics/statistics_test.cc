#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "kernels/dtype.h"
#include "kernels/entropy/alias_table.h"
#include "kernels/quantise/quantiser.h"
#include "kernels/statistics/class_statistics.h"
#include "kernels/statistics/frequencies.h"
#include "kernels/statistics/midpoint_error.h"
#include "kernels/statistics/moments.h"
#include "kernels/statistics/parametric_classes.h"
#include "kernels/statistics/symbol_statistics.h"
#include "kernels/statistics/train_classes.h"

namespace kvcast::kernels {
namespace {

double coded_bits(std::span<const double> weights, std::span<const uint16_t> frequency) {
  double bits = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0) bits += weights[i] * std::log2(4096.0 / frequency[i]);
  }
  return bits;
}

TEST(Frequencies, SumTo4096AndKeepPositiveWeights) {
  std::mt19937 random(60);
  for (int i = 0; i < 2000; ++i) {
    std::vector<double> weights(1 + random() % 32);
    for (double& weight : weights) {
      weight = random() % 4 == 0 ? 0 : std::exp(static_cast<double>(random() % 40) - 20);
    }
    weights[random() % weights.size()] = 1;
    const std::vector<uint16_t> frequency = to_frequencies(weights);
    ASSERT_TRUE(is_probability_table(frequency));
    for (size_t s = 0; s < weights.size(); ++s) ASSERT_EQ(frequency[s] > 0, weights[s] > 0);
  }
  EXPECT_EQ(to_frequencies(std::vector<double>{0, 3, 0}), (std::vector<uint16_t>{0, 4096, 0}));
}

TEST(Frequencies, NoSingleMoveSavesBits) {
  std::mt19937 random(61);
  for (int i = 0; i < 200; ++i) {
    std::vector<double> weights(2 + random() % 20);
    for (double& weight : weights) weight = 1.0 + static_cast<double>(random() % 10000);
    const std::vector<uint16_t> frequency = to_frequencies(weights);
    const double bits = coded_bits(weights, frequency);
    for (size_t a = 0; a < weights.size(); ++a) {
      for (size_t b = 0; b < weights.size(); ++b) {
        std::vector<uint16_t> moved = frequency;
        if (a == b || moved[a] == 1) continue;
        --moved[a], ++moved[b];
        ASSERT_GE(coded_bits(weights, moved), bits * (1 - 1e-6));
      }
    }
  }
}

TEST(ClassStatistics, CountsWhatTheFormatDraws) {
  ClassStatistics statistics(2);
  statistics.add(-6, 3, 0.75);  // base -1; first pass: magnitude 1 takes bit 1; then 3 takes bit 0
  EXPECT_EQ(statistics.near[14], 3);
  EXPECT_EQ(statistics.passes[0][1][1], 3);
  EXPECT_EQ(statistics.passes[1][2][0], 3);
  EXPECT_DOUBLE_EQ(statistics.cells[0][0].position / 3, 2.25 / 4);
  EXPECT_DOUBLE_EQ(statistics.cells[1][1].position / 3, 0.25 / 2);
  EXPECT_DOUBLE_EQ(statistics.cells[2][1].position / 3, 0.25);
  statistics.add(1, 1, 0.5);  // zero in the base and after one pass, then +1
  EXPECT_EQ(statistics.near[15], 1);
  EXPECT_EQ(statistics.passes[0][0][0], 1);
  EXPECT_EQ(statistics.passes[1][0][1], 1);
  EXPECT_DOUBLE_EQ(statistics.cells[2][0].position, 0.5);
  statistics.add(1 << 20, 1, 0);
  EXPECT_EQ(statistics.far, 1);
  EXPECT_EQ(statistics.total(), 5);
}

TEST(ClassStatistics, ClassesCodeEverySymbol) {
  for (uint32_t passes = 0; passes <= 4; ++passes) {
    ClassStatistics statistics(passes);
    statistics.add(0, 1000, 0);
    const ScaleClass scale_class = build_class(statistics);
    for (const uint16_t f : scale_class.base.frequency) EXPECT_GE(f, 1);
    for (const auto& contexts : scale_class.passes) {
      for (const ProbabilityTable& table : contexts) {
        EXPECT_TRUE(is_probability_table(table.frequency));
        for (const uint16_t f : table.frequency) EXPECT_GE(f, 1);
      }
    }
  }
}

TEST(ParametricClasses, GrowInScaleAndStayValid) {
  for (const uint32_t passes : {0u, 3u}) {
    const std::vector<ClassStatistics> family = parametric_statistics(passes, 0.4f);
    ASSERT_EQ(family.size(), 24u);
    for (size_t i = 0; i < family.size(); ++i) {
      EXPECT_NEAR(family[i].total(), 1, 1e-9);
      if (i >= 2) {
        EXPECT_LE(family[i].near[15], family[i - 2].near[15]);
      }
      EXPECT_NEAR(family[i].near[14], family[i].near[16], 1e-12);
      EXPECT_TRUE(is_probability_table(build_class(family[i]).base.frequency));
    }
    EXPECT_EQ(build_class(family[0]).base.frequency.size(), 4u);
    EXPECT_EQ(build_class(family[23]).base.frequency.size(), 32u);
  }
}

TEST(ParametricClasses, EachCodesItsOwnDistributionCheapest) {
  const std::vector<ClassStatistics> family = parametric_statistics(2, 0.4f);
  for (size_t i = 2; i < family.size(); ++i) {
    const double own = CodeLengths(build_class(family[i])).bits(family[i]);
    for (const ClassStatistics& other : family) {
      EXPECT_LE(own, CodeLengths(build_class(other)).bits(family[i]) + 0.01);
    }
  }
}

TEST(TrainClasses, FitsTheDataBetterThanTheFamily) {
  std::mt19937 random(62);
  const std::vector<ClassStatistics> family = parametric_statistics(0, 0.4f);
  std::vector<ClassStatistics> groups(16, ClassStatistics(0));
  for (ClassStatistics& group : groups) {
    for (int i = 0; i < 20000; ++i) group.add(random() % 2 == 0 ? 3 : -2, 1, 0.5);  // two spikes
  }
  const std::vector<ScaleClass> trained = train_classes(groups, family);
  ASSERT_FALSE(trained.empty());
  EXPECT_LE(trained.size(), kMaxTrainedClasses);
  EXPECT_NEAR(CodeLengths(trained[0]).bits(groups[0]) / 20000, 1, 0.1);
  EXPECT_TRUE(train_classes({}, family).empty());
}

TEST(Moments, ConstantChannelsAndShortContexts) {
  const std::vector<float> x = {5, 0, 1, 5, 0, -1, 5, 0, 1, 5, 0, -1};  // 4 tokens, 3 channels
  std::vector<float> many;
  for (int i = 0; i < 32; ++i) many.insert(many.end(), x.begin(), x.end());
  const Moments moments = measure_moments(many, 128, 3, false);
  EXPECT_EQ(moments.mean, (std::vector<float>{5, 0, 0}));
  EXPECT_FLOAT_EQ(moments.scale[2], 1);
  EXPECT_GT(moments.scale[0], 1e-3);
  EXPECT_LT(moments.scale[0], 1e-2);
  EXPECT_GT(moments.scale[1], 1e-3);
  const Moments few = measure_moments(x, 4, 3, true);
  EXPECT_EQ(few.mean, std::vector<float>(3, 0));
  EXPECT_FLOAT_EQ(few.scale[1], std::sqrt(104.0f / 12));
  EXPECT_EQ(measure_moments(std::vector<float>(6, 0), 2, 3, false).scale, std::vector<float>(3, 1));
}

TEST(MidpointError, PointsSaveWhatReconstructionShows) {
  constexpr float kStep = 0.5f, kRounding = 0.375f;
  constexpr uint32_t kPasses = 2;
  std::mt19937 random(64);
  std::vector<float> y(20000);
  for (float& x : y) {  // Laplace, so that cells are fuller near zero
    const double u = (static_cast<double>(random()) + 0.5) / 0x1p32;
    x = static_cast<float>(u < 0.5 ? std::log(2 * u) : -std::log(2 - 2 * u));
  }
  const ClassStatistics statistics = symbol_statistics(y, kStep, kRounding, kPasses);
  const ScaleClass scale_class = build_class(statistics);
  const std::vector<double> middles = midpoint_errors(y, kStep, kRounding, kPasses);
  const std::vector<double> savings = reconstruction_savings(statistics, scale_class);
  std::vector<int32_t> q(y.size());
  quantise(y, kStep, kRounding, q);
  for (uint32_t done = 0; done <= kPasses; ++done) {
    const auto error = [&](std::array<float, 2> fraction) {
      std::vector<int32_t> values(q.size());
      std::vector<uint16_t> bf16(q.size());
      for (size_t i = 0; i < q.size(); ++i) values[i] = drop_bits(q[i], kPasses - done);
      reconstruct({kStep, kRounding, kPasses - done, fraction}, values, bf16);
      double sum = 0;
      for (size_t i = 0; i < q.size(); ++i) {
        const double off = (double{y[i]} - bf16_to_f32(bf16[i])) / kStep;
        sum += off * off;
      }
      return sum;
    };
    const double of_middles = error({0.5f, 0.5f});
    EXPECT_NEAR(middles[done], of_middles, 0.01 * of_middles);
    EXPECT_NEAR(middles[done] - savings[done], error(scale_class.reconstruction[done]),
                0.01 * of_middles);
    EXPECT_GT(savings[done], 0);
  }
  EXPECT_GT(savings[0], savings[kPasses]);  // coarse cells are the most uneven
}

}  // namespace
}  // namespace kvcast::kernels
