#include "kernels/transform/transform_loops.h"

namespace kvcast::kernels::avx2 {

// 4 rows of 16 tokens fill 8 of 16 registers.
constexpr TransformKernels kTransformKernels{multiply_tile<4>, widen_bf16,     scale_and_shift,
                                             rotate,           narrow_to_bf16, narrow_to_f16};

}  // namespace kvcast::kernels::avx2
