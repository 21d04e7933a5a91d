#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::scalar {

constexpr InverseKernels kInverseKernels{sizeof(float),     pack, nothing, nothing,
                                         product<16, 4, 2>, widen};

}  // namespace kvcast::kernels::scalar
