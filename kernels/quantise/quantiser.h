// The dead-zone quantiser, its embedded levels and their reconstruction: kernels/plane_format.md,
// sections 1 and 2. Embedding as in JPEG 2000 (Taubman & Marcellin, ch. 3.2.7). A signed value
// holds sign and magnitude of a level.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace kvcast::kernels {

inline constexpr int32_t kMaxMagnitude = 1 << 30;

// q = sign(y) floor(|y| (1 / step) + rounding), each operation rounded to fp32; its magnitude at
// most kMaxMagnitude; NaN becomes 0.
void quantise(std::span<const float> y, float step, float rounding, std::span<int32_t> q);

inline uint32_t magnitude(int32_t value) {
  return static_cast<uint32_t>(value < 0 ? -value : value);
}

// q with the low `bits` of its magnitude dropped.
inline int32_t drop_bits(int32_t q, uint32_t bits) {
  const auto left = static_cast<int32_t>(magnitude(q) >> bits);
  return q < 0 ? -left : left;
}

// Refinement of a value by one bit: which table codes it, with which symbol, and what a symbol
// makes of it. Written without jumps: the values are random, and compilers vectorise this.
inline uint8_t refinement_context(int32_t value) {
  return static_cast<uint8_t>(magnitude(value) < 2 ? magnitude(value) : 2);
}
inline uint8_t refinement_symbol(int32_t before, int32_t after) {
  return static_cast<uint8_t>((magnitude(after) & 1) +
                              static_cast<uint32_t>((before == 0) & (after < 0)));
}
inline int32_t refine(int32_t value, uint8_t symbol) {
  const uint32_t bit = (symbol | symbol >> 1) & 1u;  // symbol 2 is -1
  const auto refined = static_cast<int32_t>(2 * magnitude(value) + bit);
  return ((value < 0) | (symbol == 2)) ? -refined : refined;
}

// How the values of one class at one level become coefficients.
struct Reconstruction {
  float step = 1;
  float rounding = 0.5f;
  uint32_t dropped_bits = 0;
  std::array<float, 2> fraction{};  // of magnitude 1, of larger
};

// bf16 bits, bit-exact everywhere.
void reconstruct(const Reconstruction& reconstruction, std::span<const int32_t> values,
                 std::span<uint16_t> bf16);

}  // namespace kvcast::kernels
