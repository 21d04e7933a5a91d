// An arithmetic coder with a stream a channel, decoded by a thread each: the design of CacheGen
// (Liu et al., SIGCOMM 2024), written anew to measure ours against. The coder is that of Witten,
// Neal and Cleary (1987): 32-bit bounds, 16-bit cumulative frequencies, a bit at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::kernels::gpu_check {

inline constexpr uint32_t kArithmeticTokens = 256;   // of a stream, at most
inline constexpr uint32_t kArithmeticAlphabet = 33;  // symbols, at most

// Cumulative frequencies of a channel: [alphabet + 1], from 0 to 65536, none equal.
using Cumulative = std::vector<uint32_t>;
Cumulative cumulative_of(std::span<const uint8_t> symbols, uint32_t alphabet);
std::vector<uint8_t> encode_arithmetic(std::span<const uint8_t> symbols, const Cumulative& table);

struct ArithmeticState {
  uint32_t low = 0, high = 0xFFFFFFFF, value = 0;
  uint32_t position = 0;  // in bits
};

// Zeros past the end. `size` in bytes.
constexpr uint32_t next_bit(const uint8_t* bytes, uint32_t size, uint32_t& position) {
  const uint32_t at = position++;
  return at / 8 < size ? bytes[at / 8] >> (7 - at % 8) & 1u : 0u;
}

constexpr ArithmeticState start_arithmetic(const uint8_t* bytes, uint32_t size) {
  ArithmeticState state;
  for (int i = 0; i < 32; ++i)
    state.value = state.value << 1 | next_bit(bytes, size, state.position);
  return state;
}

// Narrows the bounds to a symbol's share, then brings in a bit for every one that is settled.
// `shift` is called for each: with the settled bit, or with 2 where low and high straddle the half.
template <typename Shift>
constexpr void narrow(uint32_t& low, uint32_t& high, uint32_t from, uint32_t to, Shift shift) {
  const uint64_t range = uint64_t{high} - low + 1;
  high = low + static_cast<uint32_t>((range * to >> 16) - 1);
  low = low + static_cast<uint32_t>(range * from >> 16);
  while (true) {
    if (high < 0x80000000) {
      shift(0);
    } else if (low >= 0x80000000) {
      shift(1);
    } else if (low >= 0x40000000 && high < 0xC0000000) {
      shift(2);
      low -= 0x40000000;
      high -= 0x40000000;
    } else {
      return;
    }
    low <<= 1;
    high = high << 1 | 1;
  }
}

// `table` answers entry i of the channel's cumulative frequencies.
template <typename Table>
constexpr uint32_t decode_symbol(ArithmeticState& state, const uint8_t* bytes, uint32_t size,
                                 uint32_t alphabet, Table table) {
  const uint64_t range = uint64_t{state.high} - state.low + 1;
  const auto share =
      static_cast<uint32_t>((((uint64_t{state.value} - state.low + 1) << 16) - 1) / range);
  uint32_t below = 0, above = alphabet;
  while (above - below > 1) {
    const uint32_t middle = (below + above) / 2;
    if (table(middle) <= share) {
      below = middle;
    } else {
      above = middle;
    }
  }
  narrow(state.low, state.high, table(below), table(below + 1), [&](uint32_t bit) {
    if (bit == 2) state.value -= 0x40000000;
    state.value = state.value << 1 | next_bit(bytes, size, state.position);
  });
  return below;
}

}  // namespace kvcast::kernels::gpu_check
