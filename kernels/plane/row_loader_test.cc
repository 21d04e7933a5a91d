#include "kernels/plane/row_loader.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <vector>

#include "kernels/implementation/encode_kernels.h"

namespace kvcast::kernels {
namespace {

// Two layers of 2 heads of 32, the first two tokens sinks.
struct Case {
  Case() {
    profile.geometry = {2, 2, 32, 2, 32};
    profile.sink_tokens = 2;
    profile.layer_rope.assign(2, kNoRope);
    profile.groups = {{0, 2}};
    for (int side = 0; side < 2; ++side) {
      SectionCodec& codec = profile.sections.emplace_back();
      codec.drop_bits = {0};
      codec.order.resize(128);
      std::iota(codec.order.begin(), codec.order.end(), 0u);
      for (int c = 0; c < 128; ++c) {
        codec.mean.push_back(0.25f * static_cast<float>(c));
        codec.scale.push_back(0.3f + static_cast<float>(c));
      }
    }
    std::mt19937 random(5);
    for (auto& layer : layers) {
      for (int i = 0; i < 70 * 64; ++i)
        layer.push_back(f32_to_bf16(static_cast<float>(random() % 2000) - 1000));
    }
  }
  std::vector<TensorView> views() const {
    std::vector<TensorView> views;
    for (const auto& layer : layers)
      views.push_back({reinterpret_cast<const std::byte*>(layer.data()), 64 * sizeof(uint16_t)});
    return views;
  }
  SectionShape shape(Side side) const { return *shape_of_section(profile, 0, side, {0, 70}); }

  Profile profile;
  std::vector<uint16_t> layers[2];
  const QuantisingKernels& kernels = *encode_kernels(default_implementation()).quantising;
};

TEST(RowLoader, ReadsWhatTheWayOverColumnsReads) {
  const Case c;
  const auto views = c.views();
  for (const Side side : {Side::kKey, Side::kValue}) {
    const SectionShape shape = c.shape(side);
    const auto rows = RowLoader::of(c.kernels, shape, DType::kBf16, views);
    ASSERT_TRUE(rows.has_value());
    std::vector<float> all(size_t{shape.coded_tokens} * shape.coefficients);
    EXPECT_TRUE(rows->load({0, shape.groups, 0, shape.width}, all));
    EXPECT_EQ(all, *load_coefficients(shape, DType::kBf16, views));
  }
}

TEST(RowLoader, SaysThatSomethingIsNotFinite) {
  Case c;
  c.layers[1][64 * 69 + 63] = 0x7FC0;
  const auto views = c.views();
  const SectionShape shape = c.shape(Side::kValue);
  const auto rows = RowLoader::of(c.kernels, shape, DType::kBf16, views);
  std::vector<float> all(size_t{shape.coded_tokens} * shape.coefficients);
  EXPECT_FALSE(rows->load({0, shape.groups, 0, shape.width}, all));
}

TEST(RowLoader, LeavesTurnedMovedAndOtherElements) {
  Case c;
  const auto views = c.views();
  const auto suits = [&](Side side, DType dtype) {
    return RowLoader::of(c.kernels, c.shape(side), dtype, views).has_value();
  };
  EXPECT_FALSE(suits(Side::kValue, DType::kF16));
  c.profile.layer_rope[1] = 0;
  EXPECT_FALSE(suits(Side::kKey, DType::kBf16));
  EXPECT_TRUE(suits(Side::kValue, DType::kBf16));
  std::swap(c.profile.sections[1].order[3], c.profile.sections[1].order[90]);
  EXPECT_FALSE(suits(Side::kValue, DType::kBf16));
}

}  // namespace
}  // namespace kvcast::kernels
