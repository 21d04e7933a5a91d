#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::scalar {
namespace {

// In fp64 and rounded once to fp32: equals fp32 fma but for about one value in 2^29.
float fuse(float scale, float u, float mean) {
  return static_cast<float>(static_cast<double>(scale) * u + mean);
}

}  // namespace

constexpr InverseKernels kInverseKernels{pack, product<16, 1, fuse>, scale_and_shift<fuse>};

}  // namespace kvcast::kernels::scalar
