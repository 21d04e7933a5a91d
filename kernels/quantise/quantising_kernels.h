// The encoder's loops over the values of a channel group: kernels/plane_format.md, sections 1
// and 3. All implementations give the same results, bit for bit. Plain structs and functions only,
// as in kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/quantise/quantiser_kernels.h"

namespace kvcast::kernels {

// Where finest values become their neighbours, by magnitude: in units of |y| / step + rounding,
// which is the magnitude and its place in its cell. Larger magnitudes stay.
struct ValueThresholds {
  static constexpr uint32_t kMagnitudes = 64;
  alignas(64) float down[kMagnitudes];  // below it: one less. -infinity: never
  alignas(64) float up[kMagnitudes];    // above it: one more. Infinity: never; the last is, and its
                                        // `down`
};

// Values of a base as bytes: beyond kMaxBaseByte, that.
inline constexpr int32_t kMaxBaseByte = 16;

struct QuantisingKernels {
  // 32 channels of rows `stride` bytes apart: y = (x - mean) (1 / scale), [rows][32]. False: some y
  // is not finite.
  bool (*load_bf16_rows)(const std::byte* x, size_t stride, size_t rows, const float* mean,
                         const float* scale, float* y);
  // kernels/quantise/quantiser.h; then moves values by one at most. Without thresholds none moves.
  void (*quantise)(const float* y, size_t count, float step, float rounding,
                   const ValueThresholds* thresholds, int32_t* q);
  // Values of a base that drops `dropped_bits`, as bytes. Answers the bits of all their magnitudes,
  // or'ed: a bound of the largest, before it becomes a byte.
  uint32_t (*base_values)(const int32_t* q, size_t count, uint32_t dropped_bits, int8_t* values);
  // Values as bytes become symbols of a base table with largest value `largest`.
  void (*base_symbols)(size_t count, int32_t largest, uint8_t* values);
  // Writes to `escaped`, which has room for all and one more, the values that such a base escapes.
  // Answers how many.
  size_t (*base_escapes)(const int32_t* q, size_t count, uint32_t dropped_bits, int32_t largest,
                         int32_t* escaped);
  // 4 * context + symbol, of the pass before which `dropped_bits` are dropped, at least one.
  void (*pass_symbols)(const int32_t* q, size_t count, uint32_t dropped_bits, uint8_t* indices);
  // Adds to counts[i] how often `first` + i (mod 256) is among the bytes, for i below `number`.
  void (*count_bytes)(const uint8_t* bytes, size_t count, uint8_t first, uint32_t number,
                      uint32_t* counts);
  // The sum of y^2, and that of (y - reconstruction)^2 where `dropped_bits` of q are dropped; fp64,
  // value i added to part i % 32 in ascending order, then the parts.
  double (*energy)(const float* y, size_t count);
  double (*squared_error)(const CellReconstruction& how, uint32_t dropped_bits, const float* y,
                          const int32_t* q, size_t count);
};

namespace scalar {
extern const QuantisingKernels kQuantisingKernels;
}
namespace avx2 {
extern const QuantisingKernels kQuantisingKernels;
}
namespace avx512 {
extern const QuantisingKernels kQuantisingKernels;
}

}  // namespace kvcast::kernels
