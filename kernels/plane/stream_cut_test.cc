#include "kernels/plane/stream_cut.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "kernels/entropy/random_table.h"

namespace kvcast::kernels {
namespace {

constexpr size_t kOverhead = 140;

std::vector<CodedGroup> groups_of(std::vector<std::pair<uint8_t, double>> classes_and_bytes) {
  std::vector<CodedGroup> groups;
  for (const auto& [scale_class, bytes] : classes_and_bytes) {
    groups.push_back({static_cast<uint32_t>(groups.size()), scale_class, bytes * 8});
  }
  return groups;
}

TEST(StreamCut, NothingNeedsNoStream) {
  EXPECT_TRUE(cut_streams({}, kOverhead).empty());
}

TEST(StreamCut, ASmallSectionIsOneStream) {
  EXPECT_EQ(cut_streams(groups_of({{0, 500}, {0, 500}, {3, 100}, {7, 3000}}), kOverhead),
            std::vector<uint32_t>{4});
}

TEST(StreamCut, ALargeClassGetsFourEvenStreams) {
  const auto groups = groups_of(std::vector<std::pair<uint8_t, double>>(16, {2, 3000}));
  EXPECT_EQ(cut_streams(groups, kOverhead), (std::vector<uint32_t>{4, 4, 4, 4}));
}

TEST(StreamCut, ClassesLargeEnoughDoNotMix) {
  EXPECT_EQ(cut_streams(groups_of({{0, 10000}, {1, 5000}, {1, 6000}, {4, 200}}), kOverhead),
            (std::vector<uint32_t>{1, 3}));
}

TEST(StreamCut, EveryGroupOnceAndStatesCheapWhereMoreThanOneStream) {
  std::mt19937 random(30);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<std::pair<uint8_t, double>> made;
    for (uint32_t scale_class = 0; scale_class < 8; ++scale_class) {
      const uint32_t size = 1 + below(random, 20000);
      for (uint32_t n = below(random, 20); n > 0; --n)
        made.push_back({static_cast<uint8_t>(scale_class), below(random, size)});
    }
    const auto groups = groups_of(made);
    const auto cuts = cut_streams(groups, kOverhead);
    EXPECT_EQ(std::accumulate(cuts.begin(), cuts.end(), size_t{0}), groups.size());
    double payload = 0;
    for (const CodedGroup& group : groups) payload += group.bits / 8;
    for (const uint32_t count : cuts) EXPECT_GE(count, 1u);
    if (cuts.size() > 1) {
      EXPECT_LE(static_cast<double>(cuts.size() * kOverhead), 0.015 * payload);
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels
