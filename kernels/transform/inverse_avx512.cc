#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx512 {
namespace {

float fuse(float scale, float u, float mean) {
  return __builtin_fmaf(scale, u, mean);
}

}  // namespace

constexpr InverseKernels kInverseKernels{pack, product<64, 2, fuse>, scale_and_shift<fuse>};

}  // namespace kvcast::kernels::avx512
