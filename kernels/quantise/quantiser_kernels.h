// Vector forms of kernels/quantise/quantiser.h, bit for bit the same. Plain structs and functions
// only, as in kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

// Reconstruction, its cell computed.
struct CellReconstruction {
  float step;
  float rounding;
  float cell;  // 2^(bits dropped)
  float fraction[2];
};

struct QuantiserKernels {
  // values: [steps][32]. bf16: [steps] rows of 32, `row` elements apart.
  void (*reconstruct_rows)(const CellReconstruction& how, const int16_t* values, uint32_t steps,
                           uint16_t* bf16, size_t row);
};

namespace avx512 {
void reconstruct_rows(const CellReconstruction& how, const int16_t* values, uint32_t steps,
                      uint16_t* bf16, size_t row);
}  // namespace avx512

namespace avx2 {
void reconstruct_rows(const CellReconstruction& how, const int16_t* values, uint32_t steps,
                      uint16_t* bf16, size_t row);
}  // namespace avx2

}  // namespace kvcast::kernels
