#include "kernels/transform/transform_loops.h"

namespace kvcast::kernels::avx512 {

// 8 rows of 16 tokens fill 8 of 32 registers: enough to hide the latency of 4 cycles.
constexpr TransformKernels kTransformKernels{multiply_tile<8>, widen_bf16,     scale_and_shift,
                                             rotate,           narrow_to_bf16, narrow_to_f16};

}  // namespace kvcast::kernels::avx512
