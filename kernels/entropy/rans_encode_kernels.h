// Encoders of rANS streams: kernels/plane_format.md, section 4. All implementations give the same
// bytes. Plain structs and functions only, as in kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

// One or more probability tables as encoders want them. A symbol index is the symbol of a base
// table; for the three tables of a pass it is 4 * context + symbol.
struct EncodeTable {
  // In the layout of registers. A symbol of rank r stands at position first + r, and positions
  // begin[i] to begin[i + 1] - 1 are the slots from begin[i] + shift[i] (mod 2^16) on: the alias
  // method leaves a table of K buckets 2 K - 1 such pieces at most. begin[0] is 0; those not needed
  // are 65535, so that a search may look past the last.
  alignas(64) uint16_t frequency[32];
  alignas(64) uint16_t first[32];
  alignas(64) float reciprocal[32];  // 1 / frequency, rounded down; 0 where there is no symbol
  alignas(64) uint16_t begin[96];
  alignas(64) uint16_t shift[64];
  uint32_t pieces;

  // For one symbol at a time.
  struct Symbol {
    uint64_t multiplier;    // ceil(2^44 / frequency): x / frequency = x * multiplier >> 44 for
                            // every x < frequency * 2^20, since 2^20 * frequency^2 <= 2^44
    const uint16_t* slots;  // [rank]
    uint32_t frequency;
  };
  Symbol symbol[32];
};

// Where the encoding of a stream stands. Words are stored downwards, so that they end up in reading
// order.
struct EncodeCursor {
  alignas(64) uint32_t states[32];
  std::byte* next;  // one past the place of the next word
};

inline constexpr uint32_t kMaxEncodeStreams = 8;

// One stream of a call.
struct EncodeJob {
  const EncodeTable* table;
  EncodeCursor* cursor;
  const uint8_t* symbols;  // indices, [steps][lanes], each of a frequency > 0
};

// `steps` steps of each of 1 to kMaxEncodeStreams streams, the last step first. Below each stream's
// `next` there is room for a word a symbol and one more. More than one stream: `lanes` is 32.
using EncodeSymbols = void (*)(const EncodeJob* jobs, uint32_t streams, uint32_t steps,
                               uint32_t lanes);

namespace scalar {
void encode_symbols(const EncodeJob* jobs, uint32_t streams, uint32_t steps, uint32_t lanes);
}
namespace avx512 {
void encode_symbols(const EncodeJob* jobs, uint32_t streams, uint32_t steps, uint32_t lanes);
}

}  // namespace kvcast::kernels
