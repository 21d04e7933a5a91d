#include "kernels/gpu_check/arithmetic.h"

#include <gtest/gtest.h>

#include <random>

namespace kvcast::kernels::gpu_check {
namespace {

TEST(Arithmetic, ComesBackAtAboutItsEntropy) {
  std::mt19937 random(3);
  for (const uint32_t alphabet : {2u, 16u, kArithmeticAlphabet}) {
    for (const double spread : {0.3, 1.0, 4.0}) {
      std::normal_distribution<double> draw(alphabet / 2.0, spread);
      std::vector<uint8_t> symbols;
      while (symbols.size() < kArithmeticTokens) {
        const double x = draw(random);
        if (x >= 0 && x < alphabet) symbols.push_back(static_cast<uint8_t>(x));
      }
      const Cumulative table = cumulative_of(symbols, alphabet);
      ASSERT_EQ(table.front(), 0u);
      ASSERT_EQ(table.back(), 65536u);
      double bits = 0;
      for (const uint8_t s : symbols) bits -= std::log2((table[s + 1u] - table[s]) / 65536.0);
      const std::vector<uint8_t> bytes = encode_arithmetic(symbols, table);
      EXPECT_LE(static_cast<double>(bytes.size()), bits / 8 + 2);
      const auto size = static_cast<uint32_t>(bytes.size());
      ArithmeticState state = start_arithmetic(bytes.data(), size);
      for (size_t i = 0; i < symbols.size(); ++i) {
        ASSERT_EQ(decode_symbol(state, bytes.data(), size, alphabet,
                                [&](uint32_t entry) { return table[entry]; }),
                  symbols[i])
            << i;
      }
    }
  }
}

}  // namespace
}  // namespace kvcast::kernels::gpu_check
