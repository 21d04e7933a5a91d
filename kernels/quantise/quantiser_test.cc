#include "kernels/quantise/quantiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"

namespace kvcast::kernels {
namespace {

TEST(Quantiser, DeadZoneWorkedByHand) {
  const std::vector<float> y = {0, 0.59f, 0.61f, -0.61f, 1.59f, 1.61f, -0.0f, -7.0f};
  std::vector<int32_t> q(y.size());
  quantise(y, 1.0f, 0.4f, q);
  EXPECT_EQ(q, (std::vector<int32_t>{0, 0, 1, -1, 1, 2, 0, -7}));
}

TEST(Quantiser, HugeAndNotANumberStayInRange) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> y = {inf, -inf, 3e38f, std::numeric_limits<float>::quiet_NaN()};
  std::vector<int32_t> q(y.size());
  quantise(y, 1e-3f, 0.5f, q);
  EXPECT_EQ(q, (std::vector<int32_t>{kMaxMagnitude, -kMaxMagnitude, kMaxMagnitude, 0}));
}

TEST(Quantiser, RefiningEveryDroppedBitRestoresTheValue) {
  std::mt19937 random(32);
  for (int trial = 0; trial < 20000; ++trial) {
    const int32_t q = static_cast<int32_t>(below(random, uint64_t{2} << below(random, 30))) *
                      (trial % 2 == 0 ? 1 : -1);
    const uint32_t dropped = below(random, 9);
    int32_t value = drop_bits(q, dropped);
    for (uint32_t left = dropped; left > 0; --left) {
      const int32_t after = drop_bits(q, left - 1);
      const uint8_t symbol = refinement_symbol(value, after);
      ASSERT_LT(symbol, refinement_context(value) == 0 ? 3 : 2);
      value = refine(value, symbol);
      ASSERT_EQ(value, after);
    }
    ASSERT_EQ(value, q);
  }
}

TEST(Quantiser, ReconstructionIsInsideTheCellAndBf16) {
  std::mt19937 random(33);
  for (int trial = 0; trial < 20000; ++trial) {
    Reconstruction how{
        0.001f * static_cast<float>(1 + below(random, 5000)), 0.4f, below(random, 6), {0.3f, 0.5f}};
    const int32_t value = static_cast<int32_t>(below(random, 100)) - 50;
    uint16_t bf16;
    reconstruct(how, {&value, 1}, {&bf16, 1});
    const double cell = std::exp2(how.dropped_bits), y = bf16_to_f32(bf16);
    const double magnitude = std::abs(value);
    if (value == 0) {
      ASSERT_EQ(bf16, 0);
      continue;
    }
    ASSERT_EQ(y < 0, value < 0);
    ASSERT_GE(std::abs(y) * (1 + 1.0 / 256), how.step * (magnitude * cell - 0.4));
    ASSERT_LE(std::abs(y) * (1 - 1.0 / 256), how.step * ((magnitude + 1) * cell - 0.4));
    const double inside = magnitude == 1 ? 0.3f : 0.5f;
    ASSERT_NEAR(std::abs(y), how.step * ((magnitude + inside) * cell - 0.4), std::abs(y) / 250);
  }
}

TEST(Quantiser, ReconstructionRoundsToNearestEven) {
  // 1 + 2^-8 lies half-way between two bf16 numbers; 1 + 3 * 2^-8 rounds up to even.
  const int32_t one = 1;
  uint16_t bf16;
  reconstruct({1.0f, 0.5f, 0, {0.5f + 1.0f / 256, 0}}, {&one, 1}, {&bf16, 1});
  EXPECT_EQ(bf16, 0x3F80);
  reconstruct({1.0f, 0.5f, 0, {0.5f + 3.0f / 256, 0}}, {&one, 1}, {&bf16, 1});
  EXPECT_EQ(bf16, 0x3F82);
}

}  // namespace
}  // namespace kvcast::kernels
