#include "kernels/transform/analysis_basis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/dtype.h"

namespace kvcast::kernels {
namespace {

TransformBlock block_of(uint32_t rank, uint32_t width, const std::vector<float>& rows) {
  TransformBlock block{0, width, rank, {}};
  for (const float x : rows) block.basis.push_back(f32_to_bf16(x));
  return block;
}

std::vector<float> random_rows(uint32_t rank, uint32_t width, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> rows(size_t{rank} * width);
  // Norms a hundredfold apart, as error weights make them.
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = normal(random) *
              std::pow(10.0f, -2.0f * static_cast<float>(i / width) / static_cast<float>(rank));
  }
  return rows;
}

double product(const std::vector<float>& a, size_t row_a, const TransformBlock& b, size_t row_b) {
  double sum = 0;
  for (size_t c = 0; c < b.width; ++c) {
    sum += double{a[row_a * b.width + c]} * double{bf16_to_f32(b.basis[row_b * b.width + c])};
  }
  return sum;
}

TEST(AnalysisBasis, UndoesTheDecodersMatrix) {
  for (const auto& [rank, width] : {std::pair{1u, 1u}, {3u, 8u}, {16u, 16u}, {40u, 64u}}) {
    const TransformBlock block = block_of(rank, width, random_rows(rank, width, rank));
    const std::vector<float> analysis = analysis_basis(block);
    ASSERT_EQ(analysis.size(), block.basis.size());
    for (size_t a = 0; a < rank; ++a) {
      for (size_t b = 0; b < rank; ++b) {
        // What the decoder makes of component b is component b to the encoder, and nothing else.
        ASSERT_NEAR(product(analysis, a, block, b), a == b ? 1 : 0, 1e-3) << rank << 'x' << width;
      }
    }
  }
}

TEST(AnalysisBasis, IsTheBasisWhereThatIsOrthonormal) {
  const float r = std::sqrt(0.5f);
  const TransformBlock block = block_of(2, 3, {r, r, 0, r, -r, 0});
  const std::vector<float> analysis = analysis_basis(block);
  for (size_t i = 0; i < analysis.size(); ++i) EXPECT_EQ(analysis[i], bf16_to_f32(block.basis[i]));
}

TEST(AnalysisBasis, IsFiniteForRowsThatDepend) {
  for (const std::vector<float>& rows :
       {std::vector<float>{1, 2, 2, 4}, {0, 0, 0, 0}, {3, 1, 0, 0}}) {
    for (const float x : analysis_basis(block_of(2, 2, rows))) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST(AnalysisBases, AreThoseOfTheSectionAskedFor) {
  Profile profile;
  profile.sections.resize(4);
  profile.sections[3].blocks = {block_of(2, 2, {2, 0, 0, 4}), block_of(1, 1, {1})};
  const AnalysisBases bases(profile);
  EXPECT_TRUE(bases.of(profile.sections[0]).empty());
  EXPECT_EQ(bases.of(profile.sections[3]),
            (std::vector<std::vector<float>>{{0.5, 0, 0, 0.25}, {1}}));
  EXPECT_EQ(&bases.of(profile.sections[3]), &bases.of(profile.sections[3]));
}

}  // namespace
}  // namespace kvcast::kernels
