// Vector forms of the way from coefficients to KV. fp32, multiply-adds fused: results may differ
// from scalar's in the last place (kernels/plane_format.md, section 2). Plain structs and functions
// only, as in kernels/entropy/rans_kernels.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

struct TransformKernels {
  // kernels/transform/product.h: [rows][columns] times [columns][16].
  void (*multiply_tile)(const float* matrix, size_t rows, size_t columns, const float* in,
                        float* out);
  void (*widen_bf16)(const uint16_t* from, size_t count, float* to);
  // x = scale * x + mean
  void (*scale_and_shift)(const float* scale, const float* mean, size_t count, float* x);
  // Turns pairs (first, second) by their angles and scales them: kernels/rope.h, half-split layout.
  void (*rotate)(const float* cosine, const float* sine, float scaling, size_t pairs, float* first,
                 float* second);
  void (*narrow_to_bf16)(const float* from, size_t count, std::byte* to);
  void (*narrow_to_f16)(const float* from, size_t count, std::byte* to);
};

namespace avx2 {
extern const TransformKernels kTransformKernels;
}
namespace avx512 {
extern const TransformKernels kTransformKernels;
}

}  // namespace kvcast::kernels
