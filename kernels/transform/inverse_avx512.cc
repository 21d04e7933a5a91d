#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx512 {

constexpr InverseKernels kInverseKernels{sizeof(float),     pack, nothing, nothing,
                                         product<64, 8, 2>, widen};

}  // namespace kvcast::kernels::avx512
