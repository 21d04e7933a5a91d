#include "tools/eval/arithmetic_coder.h"

namespace kvcast::eval {

uint64_t arithmetic_coded_bytes(std::span<const uint8_t> symbols, std::span<const uint32_t> cdf) {
  constexpr uint32_t kHalf = 0x80000000u, kQuarter = 0x40000000u, kThreeQuarters = 0xC0000000u;
  uint32_t low = 0, high = 0xFFFFFFFFu;
  uint64_t bits = 0, pending = 0;
  for (const uint8_t symbol : symbols) {
    const uint64_t span = uint64_t{high} - low + 1;
    high = low - 1 + static_cast<uint32_t>((span * cdf[symbol + 1u]) >> 16);
    low = low + static_cast<uint32_t>((span * cdf[symbol]) >> 16);
    while (true) {
      if (high < kHalf || low >= kHalf) {
        bits += 1 + pending;
        pending = 0;
        low <<= 1;
        high = high << 1 | 1u;
      } else if (low >= kQuarter && high < kThreeQuarters) {
        ++pending;
        low = low << 1 & 0x7FFFFFFFu;
        high = high << 1 | 0x80000001u;
      } else {
        break;
      }
    }
  }
  bits += 1 + pending + 1;  // the bit that places the end, and its pending ones
  return (bits + 7) / 8;
}

}  // namespace kvcast::eval
