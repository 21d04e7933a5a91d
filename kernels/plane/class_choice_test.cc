#include "kernels/plane/class_choice.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/entropy/random_table.h"
#include "kernels/plane/laplace_classes.h"
#include "kernels/plane/random_section.h"
#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {
namespace {

Profile profile_with(std::vector<ScaleClass> classes) {
  Profile profile;
  profile.classes = std::move(classes);
  return profile;
}

SymbolCounts count_symbols(const std::vector<int32_t>& q, uint32_t dropped_bits) {
  std::vector<std::vector<uint8_t>> bytes(1 + dropped_bits, std::vector<uint8_t>(q.size()));
  const std::vector<std::span<uint8_t>> parts(bytes.begin(), bytes.end());
  return kernels::count_symbols(q, dropped_bits, scalar::kQuantisingKernels, parts);
}

TEST(ClassChoice, CountsWorkedByHand) {
  // One bit dropped: coarse 0 0 0 1 -1 20.
  const std::vector<int32_t> q = {0, 1, -1, 3, -2, 40};
  const SymbolCounts counts = count_symbols(q, 1);
  EXPECT_EQ(counts.near[SymbolCounts::kNear], 3u);
  EXPECT_EQ(counts.near[SymbolCounts::kNear + 1], 1u);
  EXPECT_EQ(counts.near[SymbolCounts::kNear - 1], 1u);
  EXPECT_EQ(counts.far, 1u);
  EXPECT_FALSE(counts.wide);
  EXPECT_EQ(counts.passes[0][0], (std::array<uint32_t, 3>{1, 1, 1}));
  EXPECT_EQ(counts.passes[0][1], (std::array<uint32_t, 3>{1, 1, 0}));
  EXPECT_EQ(counts.passes[0][2], (std::array<uint32_t, 3>{1, 0, 0}));
  EXPECT_TRUE(count_symbols({1 << 17}, 1).wide);
  EXPECT_TRUE(count_symbols({1 << 16}, 1).wide);
  EXPECT_FALSE(count_symbols({-(1 << 16)}, 1).wide);
}

TEST(ClassChoice, FindsTheScaleTheDataCameFrom) {
  std::mt19937 random(31);
  const std::vector<double> scales = {0.2, 0.8, 3.2, 12.8};
  const Profile profile = profile_with(laplace_classes(scales, 0.5, 3));
  const Codec codec(profile);
  for (size_t s = 0; s < scales.size(); ++s) {
    std::exponential_distribution<double> magnitude(1 / scales[s]);
    std::vector<int32_t> q(32 * 500);
    for (int32_t& x : q) {
      x = static_cast<int32_t>(magnitude(random) + 0.5);
      if (below(random, 2) == 0) x = -x;
    }
    const auto choice = choose_class(codec.tables().classes, count_symbols(q, 3));
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(choice->scale_class, s);
    ASSERT_EQ(choice->parts.size(), 4u);
  }
}

TEST(ClassChoice, ZerosAreEmptyAndTakeTheLowestClass) {
  const std::vector<double> scales = {5, 1};
  const Profile profile = profile_with(laplace_classes(scales, 0.5, 2));
  const Codec codec(profile);
  const auto choice =
      choose_class(codec.tables().classes, count_symbols(std::vector<int32_t>(64, 0), 2));
  ASSERT_TRUE(choice.has_value());
  EXPECT_EQ(choice->scale_class, 0);
  for (const PartCost& part : choice->parts) {
    EXPECT_TRUE(part.empty);
    EXPECT_EQ(part.bits, 0);
  }
}

TEST(ClassChoice, SkipsClassesThatLackASymbol) {
  auto classes = laplace_classes(std::vector<double>{1, 1}, 0.5, 1);
  classes[0].passes[0][1].frequency = {4096, 0};
  const Profile profile = profile_with(classes);
  const Codec codec(profile);
  const std::vector<int32_t> q = {3, 0, 0, 0};  // coarse 1, then bit 1
  EXPECT_EQ(choose_class(codec.tables().classes, count_symbols(q, 1))->scale_class, 1);
  EXPECT_FALSE(
      choose_class(std::span(codec.tables().classes).first(1), count_symbols(q, 1)).has_value());
}

}  // namespace
}  // namespace kvcast::kernels
