#include "kernels/entropy/alias_table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/entropy/random_table.h"

namespace kvcast::kernels {
namespace {

TEST(AliasTable, AcceptsOnlySumsOf4096) {
  EXPECT_TRUE(is_probability_table(std::vector<uint16_t>{4096}));
  EXPECT_TRUE(is_probability_table(std::vector<uint16_t>{0, 4095, 1}));
  EXPECT_FALSE(is_probability_table(std::vector<uint16_t>{}));
  EXPECT_FALSE(is_probability_table(std::vector<uint16_t>{4095}));
  EXPECT_FALSE(is_probability_table(std::vector<uint16_t>{4096, 1}));
  EXPECT_FALSE(is_probability_table(std::vector<uint16_t>(33, 0)));
}

// Worked by hand from the rules of plane_format.md, section 4: w = 1024; SMALL = 1, 2, 3; LARGE =
// 0.
TEST(AliasTable, BucketsOfASmallTable) {
  const AliasBuckets buckets = build_alias_buckets(std::vector<uint16_t>{2896, 700, 500});
  EXPECT_EQ(buckets.count, 4u);
  EXPECT_EQ(buckets.divider[3], 0);
  EXPECT_EQ(buckets.divider[2], 500);
  EXPECT_EQ(buckets.divider[1], 700);
  EXPECT_EQ(buckets.divider[0], 1024);
  for (uint32_t b = 0; b < 4; ++b) EXPECT_EQ(buckets.alias[b], 0);
}

TEST(AliasTable, EveryRankOfEverySymbolHasOneSlot) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 400; ++trial) {
    const std::vector<uint16_t> frequency =
        random_frequencies(random, 1 + below(random, kMaxAlphabet));
    ASSERT_TRUE(is_probability_table(frequency));
    const AliasTable table(frequency);
    std::vector<uint32_t> seen(frequency.size(), 0);
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      const Slot entry = table.slots()[slot];
      ASSERT_LT(entry.symbol(), frequency.size());
      ASSERT_EQ(entry.frequency(), frequency[entry.symbol()]);
      ASSERT_EQ(entry.rank(), seen[entry.symbol()]++) << "ranks ascend with the slot";
      ASSERT_EQ(table.slot_of()[table.first(entry.symbol()) + entry.rank()], slot);
    }
    for (uint32_t s = 0; s < frequency.size(); ++s) ASSERT_EQ(seen[s], frequency[s]);
  }
}

TEST(AliasTable, BucketsAgreeWithSlots) {
  std::mt19937 random(2);
  for (int trial = 0; trial < 100; ++trial) {
    const std::vector<uint16_t> frequency =
        random_frequencies(random, 1 + below(random, kMaxAlphabet));
    const AliasBuckets buckets = build_alias_buckets(frequency);
    const AliasTable table(frequency);
    const uint32_t width = kSlots / buckets.count;
    for (uint32_t b = 0; b < buckets.count; ++b) {
      ASSERT_LE(buckets.divider[b], width);
      if (buckets.divider[b] > 0) {
        ASSERT_EQ(table.slots()[b * width].symbol(), b);
      }
      if (buckets.divider[b] < width) {
        ASSERT_EQ(table.slots()[b * width + width - 1].symbol(), buckets.alias[b]);
      }
    }
  }
}

TEST(AliasTable, CostInBits) {
  const AliasTable table(std::vector<uint16_t>{2048, 1024, 0, 1024});
  EXPECT_FLOAT_EQ(table.bits(0), 1);
  EXPECT_FLOAT_EQ(table.bits(1), 2);
  EXPECT_TRUE(std::isinf(table.bits(2)));
  EXPECT_TRUE(std::isinf(table.bits(4)));
  EXPECT_FLOAT_EQ(AliasTable(std::vector<uint16_t>{0, 4096}).bits(1), 0);
}

}  // namespace
}  // namespace kvcast::kernels
