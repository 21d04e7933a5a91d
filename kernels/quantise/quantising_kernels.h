// The encoder's loops over the values of a channel group: kernels/plane_format.md, sections 1
// and 3. All implementations give the same results, bit for bit. Plain structs and functions only,
// as in kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/quantise/quantiser_kernels.h"

namespace kvcast::kernels {

// How often finest values occur. Several tables, so that equal neighbours need not wait for each
// other's count; they add up.
struct ValueCounts {
  static constexpr uint32_t kNear =
      512;  // values -kNear to kNear - 1 have counts, at value + kNear
  uint32_t table[4][2 * kNear];
  uint32_t magnitudes;  // all bits of those counted, perhaps more: bounds where to look for counts
};

// Where finest values become their neighbours, by magnitude: in units of |y| / step + rounding,
// which is the magnitude and its place in its cell. Larger magnitudes stay.
struct ValueThresholds {
  static constexpr uint32_t kMagnitudes = 64;
  float down[kMagnitudes];  // below it: one less. -infinity: never
  float up[kMagnitudes];    // above it: one more. Infinity: never; the last is, and its `down`
};

struct QuantisingKernels {
  // kernels/quantise/quantiser.h
  void (*quantise)(const float* y, size_t count, float step, float rounding, int32_t* q);
  // Moves values that quantise() made of `y`, by one at most.
  void (*move_values)(const float* y, size_t count, float step, float rounding,
                      const ValueThresholds& thresholds, int32_t* q);
  // Adds `count` values to `counts` and appends those without a count to `far`, which has room for
  // all. Answers how many were appended.
  size_t (*count_values)(const int32_t* q, size_t count, ValueCounts& counts, int32_t* far);
  // Symbols of a base that drops `dropped_bits`, of a table with largest value `largest`.
  void (*base_symbols)(const int32_t* q, size_t count, uint32_t dropped_bits, int32_t largest,
                       uint8_t* symbols);
  // Writes to `escaped`, which has room for all and one more, the values that such a base escapes.
  // Answers how many.
  size_t (*base_escapes)(const int32_t* q, size_t count, uint32_t dropped_bits, int32_t largest,
                         int32_t* escaped);
  // 4 * context + symbol, of the pass before which `dropped_bits` are dropped, at least one.
  void (*pass_symbols)(const int32_t* q, size_t count, uint32_t dropped_bits, uint8_t* indices);
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
