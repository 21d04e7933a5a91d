// Test helper: probability tables of every shape, from flat to one symbol.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "kernels/entropy/rans_format.h"

namespace kvcast::kernels {

inline uint32_t below(std::mt19937& random, uint64_t limit) {
  return static_cast<uint32_t>(random() % limit);
}

inline std::vector<uint16_t> random_frequencies(std::mt19937& random, size_t alphabet) {
  std::vector<uint16_t> frequency(alphabet, 0);
  const uint32_t peaked = below(random, 4);  // 0: flat, 3: nearly all in one symbol
  const size_t favourite = below(random, alphabet);
  for (uint32_t left = kSlots; left > 0;) {
    const uint32_t piece = 1 + below(random, left < 64 ? left : left / 4);
    const size_t symbol = below(random, 4) < peaked ? favourite : below(random, alphabet);
    frequency[symbol] = static_cast<uint16_t>(frequency[symbol] + piece);
    left -= piece;
  }
  return frequency;
}

// A symbol drawn with the table's own probabilities.
inline uint8_t draw_symbol(std::mt19937& random, const std::vector<uint16_t>& frequency) {
  uint32_t slot = below(random, kSlots);
  uint8_t symbol = 0;
  while (slot >= frequency[symbol]) slot -= frequency[symbol++];
  return symbol;
}

}  // namespace kvcast::kernels
