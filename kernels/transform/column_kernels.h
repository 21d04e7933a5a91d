// The loops of forward and inverse transform, over columns: a column holds one channel or component
// of kColumnTokens tokens, contiguous; [channel][token]. In this layout permutations are free, and
// RoPE's two layouts are one. Plain structs and functions only, as in
// kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr size_t kColumnTokens = 32;

// Bit for bit the same on every implementation: no fused multiply-add.
struct ColumnKernels {
  // 16-bit elements: rows of `channels`, `stride` bytes apart, to columns and back. `tokens` is 1
  // to 32; the columns' further tokens are copies of the last one. What lies `ahead` bytes further
  // on may be read soon.
  void (*to_columns)(const std::byte* rows, size_t stride, size_t tokens, size_t channels,
                     size_t ahead, uint16_t* columns);
  void (*to_rows)(const uint16_t* columns, size_t tokens, size_t channels, std::byte* rows,
                  size_t stride);
  void (*widen_bf16)(const uint16_t* from, size_t count, float* to);
  void (*widen_f16)(const uint16_t* from, size_t count, float* to);
  // Round to nearest even, as kernels/dtype.h does.
  void (*narrow_to_bf16)(const float* from, size_t count, uint16_t* to);
  void (*narrow_to_f16)(const float* from, size_t count, uint16_t* to);
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

// From bf16 coefficients to normalised channels, scaled and shifted: x = fma(scale, u, mean), u a
// sum in fp32 in any order. Results may differ in the last place (kernels/plane_format.md, section
// 2).
struct InverseKernels {
  // The basis of a block, [rank][width] bf16, as product() wants it: packed_size() floats.
  void (*pack)(const uint16_t* basis, size_t rank, size_t width, float* packed);
  // components: [rank] columns. scratch: scratch_size() floats. out: [width] columns.
  void (*product)(const float* packed, size_t rank, size_t width, const uint16_t* const* components,
                  const float* scale, const float* mean, float* scratch, float* out);
  // No transform: u is the component.
  void (*scale_and_shift)(const uint16_t* const* components, size_t width, const float* scale,
                          const float* mean, float* out);
};

inline constexpr size_t kPanel = 8;  // channels that product() sums at a time
constexpr size_t packed_size(size_t rank, size_t width) {
  return (width + kPanel - 1) / kPanel * kPanel * rank;
}
constexpr size_t scratch_size(size_t rank) {
  return rank * kColumnTokens;
}

struct TransformKernels {
  const ColumnKernels* columns;
  const InverseKernels* inverse;
};

namespace scalar {
extern const ColumnKernels kColumnKernels;
extern const InverseKernels kInverseKernels;
}  // namespace scalar
namespace avx2 {
extern const ColumnKernels kColumnKernels;
extern const InverseKernels kInverseKernels;
}  // namespace avx2
namespace avx512 {
extern const ColumnKernels kColumnKernels;
extern const InverseKernels kInverseKernels;
}  // namespace avx512
namespace avx512_bf16 {
extern const InverseKernels kInverseKernels;
}

}  // namespace kvcast::kernels
