#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx2 {
namespace {

float fuse(float scale, float u, float mean) {
  return __builtin_fmaf(scale, u, mean);
}

}  // namespace

constexpr InverseKernels kInverseKernels{pack, product<32, 1, fuse>, scale_and_shift<fuse>};

}  // namespace kvcast::kernels::avx2
