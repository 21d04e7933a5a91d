// Loops over columns: every implementation gives scalar's results, and those are right.
#include "kernels/transform/column_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"
#include "kernels/implementation/transform_kernels.h"

namespace kvcast::kernels {
namespace {

TEST(ColumnKernels, RowsToColumnsAndBack) {
  std::mt19937 random(51);
  for (const auto& [name, kernels] : transform_kernels_here()) {
    SCOPED_TRACE(name);
    for (int trial = 0; trial < 100; ++trial) {
      const size_t tokens = trial % 3 == 0 ? kColumnTokens : 1 + below(random, kColumnTokens);
      const size_t channels = 1 + below(random, 100), stride = 2 * channels + below(random, 9);
      std::vector<std::byte> rows(stride * (tokens - 1) + 2 * channels);
      for (std::byte& byte : rows) byte = static_cast<std::byte>(random());
      std::vector<uint16_t> columns(channels * kColumnTokens);
      kernels.columns->to_columns(rows.data(), stride, tokens, channels, 0, columns.data());
      for (size_t i = 0; i < columns.size(); ++i) {
        const size_t token = std::min(i % kColumnTokens, tokens - 1);
        uint16_t element;
        std::memcpy(&element, rows.data() + token * stride + 2 * (i / kColumnTokens), 2);
        ASSERT_EQ(columns[i], element);
      }
      const size_t count = 1 + below(random, std::min(channels, kRowColumns));
      std::vector<const uint16_t*> some;
      while (some.size() < count)
        some.push_back(columns.data() + below(random, channels) * kColumnTokens);
      std::vector<uint16_t> back(kColumnTokens * kRowColumns + 1, 0xAAAA);
      kernels.columns->to_rows(some.data(), count, back.data());
      for (size_t i = 0; i < kColumnTokens * kRowColumns; ++i) {
        const size_t column = i % kRowColumns;
        ASSERT_EQ(back[i], column < count ? some[column][i / kRowColumns] : 0);
      }
      ASSERT_EQ(back.back(), 0xAAAA);
    }
  }
}

TEST(ColumnKernels, ColumnsToLanes) {
  std::mt19937 random(52);
  for (const auto& [name, kernels] : transform_kernels_here()) {
    for (int trial = 0; trial < 100; ++trial) {
      const size_t tokens = trial % 3 == 0 ? kColumnTokens : 1 + below(random, kColumnTokens);
      const size_t lanes = trial % 2 == 0 ? 32 : 1 + below(random, 32);
      std::vector<float> columns(40 * kColumnTokens), rows(tokens * lanes + 1, -1.0f);
      for (float& x : columns) x = static_cast<float>(below(random, 1 << 20));
      std::vector<const float*> pointers;
      for (size_t lane = 0; lane < lanes; ++lane)
        pointers.push_back(columns.data() + below(random, 40) * kColumnTokens);
      kernels.columns->to_lanes(pointers.data(), lanes, tokens, rows.data());
      for (size_t i = 0; i < tokens * lanes; ++i)
        ASSERT_EQ(rows[i], pointers[i % lanes][i / lanes]) << name;
      ASSERT_EQ(rows.back(), -1.0f) << name;
    }
  }
}

TEST(ColumnKernels, EverySixteenBitNumberIsWidened) {
  std::vector<uint16_t> all(65536);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  std::vector<float> wide(all.size());
  for (const auto& [name, kernels] : transform_kernels_here()) {
    kernels.columns->widen_bf16(all.data(), all.size(), wide.data());
    for (size_t i = 0; i < all.size(); ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(wide[i]), i << 16) << name;
    kernels.columns->widen_f16(all.data(), all.size(), wide.data());
    for (size_t i = 0; i < all.size(); ++i) {
      const float expected = f16_to_f32(all[i]);
      ASSERT_TRUE(std::isnan(expected)
                      ? std::isnan(wide[i])
                      : std::bit_cast<uint32_t>(wide[i]) == std::bit_cast<uint32_t>(expected))
          << name << " " << i;
    }
  }
}

TEST(ColumnKernels, FindsWhatIsNotFinite) {
  std::vector<float> x(100, 1.0f);
  for (const auto& [name, kernels] : transform_kernels_here()) {
    EXPECT_TRUE(kernels.columns->all_finite(x.data(), x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      for (const float bad :
           {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
            std::numeric_limits<float>::quiet_NaN()}) {
        x[i] = bad;
        EXPECT_FALSE(kernels.columns->all_finite(x.data(), x.size())) << name;
        EXPECT_TRUE(kernels.columns->all_finite(x.data(), i)) << name;
      }
      x[i] = std::numeric_limits<float>::max();
    }
    x.assign(x.size(), 1.0f);
  }
}

}  // namespace
}  // namespace kvcast::kernels
