// The encoder's loops: every implementation gives scalar's results, and those are right.
#include "kernels/quantise/quantising_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

std::vector<float> random_values(std::mt19937& random, size_t count, float scale) {
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> y(count);
  for (float& value : y) {
    value = normal(random);
    if (below(random, 100) == 0) value *= 1000;
    if (below(random, 300) == 0) value = below(random, 2) == 0 ? 0.0f : -0.0f;
    if (below(random, 300) == 0) value = std::numeric_limits<float>::max();
    if (below(random, 300) == 0) value = std::numeric_limits<float>::quiet_NaN();
  }
  return y;
}

std::vector<int32_t> random_numbers(std::mt19937& random, size_t count) {
  std::vector<int32_t> q(count);
  const uint32_t bits = 1 + below(random, 30);
  for (int32_t& value : q) {
    value = static_cast<int32_t>(below(random, uint64_t{1} << below(random, bits)));
    if (below(random, 2) == 0) value = -value;
  }
  return q;
}

std::vector<const QuantisingKernels*> all_kernels() {
  std::vector<const QuantisingKernels*> kernels;
  for (const Implementation implementation : implementations()) {
    if (runs_here(implementation)) kernels.push_back(encode_kernels(implementation).quantising);
  }
  return kernels;
}

TEST(QuantisingKernels, LoadRowsAndSeeWhatIsNotFinite) {
  std::mt19937 random(76);
  for (int trial = 0; trial < 50; ++trial) {
    const size_t rows = below(random, 70), row = 32 + below(random, 3) * 32;
    std::vector<uint16_t> x(rows * row + 32);
    for (uint16_t& value : x) value = f32_to_bf16(float(below(random, 2000)) - 1000);
    std::vector<float> mean(32), scale(32), y(rows * 32), expected;
    for (size_t c = 0; c < 32; ++c) {
      mean[c] = float(below(random, 100));
      scale[c] = 0.01f + float(below(random, 100));
    }
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < 32; ++c)
        expected.push_back((bf16_to_f32(x[r * row + c]) - mean[c]) * (1 / scale[c]));
    }
    const auto load = [&](const QuantisingKernels* kernels) {
      return kernels->load_bf16_rows(reinterpret_cast<const std::byte*>(x.data()), 2 * row, rows,
                                     mean.data(), scale.data(), y.data());
    };
    for (const QuantisingKernels* kernels : all_kernels()) {
      ASSERT_TRUE(load(kernels));
      ASSERT_EQ(y, expected);
    }
    if (rows == 0) continue;
    for (const uint16_t bad : std::vector<uint16_t>{0x7F80, 0xFF80, 0x7FC0, 0xFFFF}) {
      uint16_t& at = x[below(random, rows) * row + below(random, 32)];
      const uint16_t before = std::exchange(at, bad);
      for (const QuantisingKernels* kernels : all_kernels()) EXPECT_FALSE(load(kernels));
      at = before;
    }
  }
}

TEST(QuantisingKernels, QuantiseAsScalarDoes) {
  std::mt19937 random(71);
  for (int trial = 0; trial < 200; ++trial) {
    const auto y =
        random_values(random, below(random, 700), std::exp2(float(below(random, 40)) - 20));
    const float step = std::exp2(float(below(random, 20)) - 10) * 1.1f, rounding = 0.45f;
    std::vector<int32_t> expected(y.size()), q(y.size());
    quantise(y, step, rounding, expected);
    for (size_t i = 0; i < y.size(); ++i) {
      const float magnitude = std::fabs(y[i]) * (1 / step) + rounding;
      const double floored = std::isnan(y[i]) ? 0 : std::fmin(std::floor(magnitude), kMaxMagnitude);
      ASSERT_EQ(expected[i], std::signbit(y[i]) ? -floored : floored);
    }
    for (const QuantisingKernels* kernels : all_kernels()) {
      kernels->quantise(y.data(), y.size(), step, rounding, nullptr, q.data());
      ASSERT_EQ(q, expected);
    }
  }
}

TEST(QuantisingKernels, MoveValuesByTheirThresholds) {
  std::mt19937 random(75);
  ValueThresholds thresholds;
  for (uint32_t m = 0; m < ValueThresholds::kMagnitudes; ++m) {
    const float infinity = std::numeric_limits<float>::infinity();
    const bool last = m == ValueThresholds::kMagnitudes - 1;
    thresholds.down[m] = m == 0 || last ? -infinity : float(m) + 0.01f * float(below(random, 40));
    thresholds.up[m] = last ? infinity : float(m) + 1 - 0.01f * float(below(random, 40));
  }
  for (int trial = 0; trial < 100; ++trial) {
    const auto y = random_values(random, below(random, 700), std::exp2(float(below(random, 10))));
    const float step = 1.5f, rounding = 0.45f;
    std::vector<int32_t> nearest(y.size());
    quantise(y, step, rounding, nearest);
    std::vector<int32_t> expected = nearest;
    for (size_t i = 0; i < y.size(); ++i) {
      const uint32_t m = magnitude(nearest[i]);
      if (m >= ValueThresholds::kMagnitudes - 1) continue;
      const float place = std::fabs(y[i]) * (1 / step) + rounding;
      const int32_t away = std::signbit(y[i]) ? -1 : 1;
      if (place > thresholds.up[m]) expected[i] += away;
      if (place < thresholds.down[m]) expected[i] -= away;
    }
    for (const QuantisingKernels* kernels : all_kernels()) {
      std::vector<int32_t> q(y.size());
      kernels->quantise(y.data(), y.size(), step, rounding, &thresholds, q.data());
      ASSERT_EQ(q, expected);
    }
  }
}

TEST(QuantisingKernels, CountBytesOfARange) {
  std::mt19937 random(72);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<uint8_t> bytes(below(random, 40000));
    const uint32_t spread = 1 + below(random, 255);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(below(random, spread) - spread / 2);
    const auto first = static_cast<uint8_t>(random());
    const uint32_t number = below(random, 33);
    std::vector<uint32_t> expected(number, 5);
    for (const uint8_t byte : bytes) {
      const auto index = static_cast<uint8_t>(byte - first);
      if (index < number) ++expected[index];
    }
    for (const QuantisingKernels* kernels : all_kernels()) {
      std::vector<uint32_t> counts(number, 5);
      kernels->count_bytes(bytes.data(), bytes.size(), first, number, counts.data());
      ASSERT_EQ(counts, expected);
    }
  }
}

TEST(QuantisingKernels, SymbolsOfBasesAndPasses) {
  std::mt19937 random(73);
  for (int trial = 0; trial < 200; ++trial) {
    const auto q = random_numbers(random, below(random, 700));
    const uint32_t bits = below(random, 9);
    const auto largest = static_cast<int32_t>(below(random, 16));
    std::vector<uint8_t> base, pass, symbols(q.size());
    std::vector<int32_t> escaped;
    std::vector<int8_t> values;
    uint32_t magnitudes = 0;
    for (const int32_t value : q) {
      const int32_t coarse = drop_bits(value, bits);
      values.push_back(static_cast<int8_t>(std::clamp(coarse, -kMaxBaseByte, kMaxBaseByte)));
      magnitudes |= magnitude(coarse);
      base.push_back(
          static_cast<uint8_t>(std::abs(coarse) <= largest ? coarse + largest : 2 * largest + 1));
      if (base.back() == 2 * largest + 1) escaped.push_back(coarse);
      const int32_t before = drop_bits(value, bits + 1);
      pass.push_back(
          static_cast<uint8_t>(4 * refinement_context(before) + refinement_symbol(before, coarse)));
    }
    for (const QuantisingKernels* kernels : all_kernels()) {
      std::vector<int8_t> bytes(q.size());
      ASSERT_EQ(kernels->base_values(q.data(), q.size(), bits, bytes.data()), magnitudes);
      ASSERT_EQ(bytes, values);
      symbols.assign(bytes.begin(), bytes.end());
      kernels->base_symbols(symbols.size(), largest, symbols.data());
      ASSERT_EQ(symbols, base);
      std::vector<int32_t> found(q.size() + 1);
      found.resize(kernels->base_escapes(q.data(), q.size(), bits, largest, found.data()));
      ASSERT_EQ(found, escaped);
      kernels->pass_symbols(q.data(), q.size(), bits + 1, symbols.data());
      ASSERT_EQ(symbols, pass);
    }
  }
}

TEST(QuantisingKernels, ErrorsAreThoseOfReconstructions) {
  std::mt19937 random(74);
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<float> y;
    for (const float value : random_values(random, below(random, 700), 30))
      y.push_back(std::isfinite(value) && std::fabs(value) < 1e30f ? value : 1.0f);
    const CellReconstruction how{0.7f, 0.4f, 4.0f, {0.3f, 0.45f}};
    std::vector<int32_t> q(y.size()), coarse;
    quantise(y, how.step, how.rounding, q);
    for (const int32_t value : q) coarse.push_back(drop_bits(value, 2));
    std::vector<uint16_t> bf16(y.size());
    reconstruct({0.7f, 0.4f, 2, {0.3f, 0.45f}}, coarse, bf16);
    double error = 0, energy = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      error += std::pow(double{y[i]} - double{bf16_to_f32(bf16[i])}, 2);
      energy += std::pow(double{y[i]}, 2);
    }
    const QuantisingKernels& scalar = scalar::kQuantisingKernels;
    const double expected = scalar.squared_error(how, 2, y.data(), q.data(), y.size());
    EXPECT_NEAR(expected, error, 1e-6 * error);
    EXPECT_NEAR(scalar.energy(y.data(), y.size()), energy, 1e-12 * energy);
    for (const QuantisingKernels* kernels : all_kernels()) {
      EXPECT_EQ(kernels->squared_error(how, 2, y.data(), q.data(), y.size()), expected);
      EXPECT_EQ(kernels->energy(y.data(), y.size()), scalar.energy(y.data(), y.size()));
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
