#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx2 {

constexpr InverseKernels kInverseKernels{sizeof(float),     pack, nothing, nothing,
                                         product<32, 4, 2>, widen};

}  // namespace kvcast::kernels::avx2
