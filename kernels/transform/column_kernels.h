// The loops of the forward transform, over columns: a column holds one channel or component of
// kColumnTokens tokens, contiguous; [channel][token]. In this layout permutations are free, and
// RoPE's two layouts are one. Plain structs and functions only, as in
// kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr size_t kColumnTokens = 32;
inline constexpr size_t kRowColumns = 32;

// Bit for bit the same on every implementation: no fused multiply-add.
struct ColumnKernels {
  // 16-bit elements: rows of `channels`, `stride` bytes apart, to columns. `tokens` is 1 to 32; the
  // columns' further tokens are copies of the last one. What lies `ahead` bytes further on may be
  // read soon.
  void (*to_columns)(const std::byte* rows, size_t stride, size_t tokens, size_t channels,
                     size_t ahead, uint16_t* columns);
  // Back: up to kRowColumns columns become rows of as many elements, zero where there is none.
  void (*to_rows)(const uint16_t* const* columns, size_t count, uint16_t* rows);
  void (*widen_bf16)(const uint16_t* from, size_t count, float* to);
  void (*widen_f16)(const uint16_t* from, size_t count, float* to);
  bool (*all_finite)(const float* x, size_t count);
  // Turns a pair of columns by the angles of its tokens and scales it: kernels/rope.h.
  void (*rotate)(const float* cosine, const float* sine, float scaling, float* first,
                 float* second);
  // x = (x - mean) (1 / scale), each channel its own.
  void (*normalise)(const float* mean, const float* scale, size_t channels, float* columns);
  // out = matrix * in; matrix: [rows][columns]. Each sum runs over the columns in ascending order
  // from 0, one rounding an operation.
  void (*multiply)(const float* matrix, size_t rows, size_t columns, const float* in, float* out);
  // columns[lane] becomes lane `lane` of the first `tokens` rows of `lanes` each, at most 32.
  void (*to_lanes)(const float* const* columns, size_t lanes, size_t tokens, float* rows);
};

namespace scalar {
extern const ColumnKernels kColumnKernels;
}  // namespace scalar
namespace avx2 {
extern const ColumnKernels kColumnKernels;
}  // namespace avx2
namespace avx512 {
extern const ColumnKernels kColumnKernels;
}  // namespace avx512

}  // namespace kvcast::kernels
