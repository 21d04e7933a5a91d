// Products of every implementation, beside their own in fp64.
#include "kernels/transform/inverse_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/entropy/random_table.h"
#include "kernels/implementation/transform_kernels.h"

namespace kvcast::kernels {
namespace {

std::vector<uint16_t> draw(std::mt19937& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<uint16_t> drawn(count);
  for (uint16_t& x : drawn) x = f32_to_bf16(normal(random));
  return drawn;
}

void check_product(std::mt19937& random, const InverseKernels& kernels, size_t rank, size_t width) {
  const std::vector<uint16_t> basis = draw(random, rank * width);
  std::vector<CacheLine> packed(packed_lines(rank, width, kernels));
  kernels.pack(basis.data(), rank, width, packed.data());
  std::vector<ComponentPanel> components(panels(rank));
  const std::vector<uint16_t> drawn = draw(random, rank * kTileTokens);
  for (size_t i = 0; i < drawn.size(); ++i) {
    const size_t r = i / kTileTokens;
    components[r / kPanel].of_token[i % kTileTokens][r % kPanel] = drawn[i];
  }
  const size_t stride = panels(width) * kPanel + 16 * below(random, 3);
  std::vector<float> sums(stride * kTileTokens);
  kernels.begin();
  kernels.product(packed.data(), rank, panels(width),
                  {components[0].of_token[0], kPanel, kPanelElements}, sums.data(), stride);
  kernels.end();
  for (size_t t = 0; t < kTileTokens; ++t) {
    for (size_t c = 0; c < panels(width) * kPanel; ++c) {
      double expected = 0, magnitude = 0;
      for (size_t r = 0; c < width && r < rank; ++r) {
        const double term =
            bf16_to_f32(drawn[r * kTileTokens + t]) * double{bf16_to_f32(basis[r * width + c])};
        expected += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(sums[t * stride + c], expected, 1e-6 * magnitude)
          << rank << " to " << width << ": token " << t << ", channel " << c;
    }
  }
}

TEST(InverseKernels, ProductsMatchFp64) {
  std::mt19937 random(55);
  for (int trial = 0; trial < 20; ++trial) {
    const size_t width = 1 + below(random, 150), rank = 1 + below(random, width);
    for (const auto& [name, kernels] : transform_kernels_here()) {
      SCOPED_TRACE(name);
      check_product(random, *kernels.inverse, rank, width);
    }
  }
}

TEST(InverseKernels, TilesOfBf16AreMultipliedWhereTheyMay) {
  if (!runs_here(Implementation::kAmx))
    GTEST_SKIP() << "this CPU has no tiles of bf16, or the system keeps them from us";
  std::mt19937 random(56);
  for (const size_t width : {16u, 64u, 128u, 300u})
    check_product(random, *transform_kernels(Implementation::kAmx).inverse, width, width);
}

}  // namespace
}  // namespace kvcast::kernels
