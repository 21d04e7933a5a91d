#include "tools/engine/forward/pointwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace kvcast::engine {
namespace {

TEST(Pointwise, ExponentialsAreAccurate) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-90.0f, 5.0f);
  for (size_t count = 1; count < 70; ++count) {
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random);
    const std::vector<float> before = values;
    double expected_sum = 0;
    const float sum = exp_shifted(values, 1.5f);
    for (size_t i = 0; i < count; ++i) {
      const double expected = std::exp(std::max<double>(-87.3f, static_cast<double>(before[i] - 1.5f)));
      EXPECT_NEAR(values[i], expected, 2e-7 * expected) << before[i];
      expected_sum += expected;
    }
    EXPECT_NEAR(sum, expected_sum, 1e-6 * expected_sum);
  }
}

TEST(Pointwise, LargestIsFoundAnywhere) {
  for (size_t count = 1; count < 50; ++count) {
    for (size_t at = 0; at < count; ++at) {
      std::vector<float> values(count, -3.0f);
      values[at] = -1.0f;
      EXPECT_EQ(largest(values), -1.0f);
    }
  }
}

TEST(Pointwise, SiluAndNormByTheirDefinition) {
  std::vector<float> gate = {-100.0f, -1.0f, 0.0f, 2.0f, 100.0f};
  const std::vector<float> up = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f}, before = gate;
  silu_multiply(gate, up.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double x = before[i];
    EXPECT_NEAR(gate[i], x / (1 + std::exp(-x)) * up[i], 1e-5) << x;
  }
  const std::vector<float> from = {3.0f, -4.0f}, weight = {1.0f, 2.0f};
  std::vector<float> normed(2);
  rms_norm(from, weight, 0.0f, normed.data());
  EXPECT_NEAR(normed[0], 3 / std::sqrt(12.5), 1e-6);
  EXPECT_NEAR(normed[1], -8 / std::sqrt(12.5), 1e-6);
}

}  // namespace
}  // namespace kvcast::engine
