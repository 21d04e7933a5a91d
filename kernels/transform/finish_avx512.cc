#include "kernels/transform/finish_avx512.h"

namespace kvcast::kernels::avx512 {

constexpr FinishKernels kFinishKernels = finish_kernels<Avx512>();

}  // namespace kvcast::kernels::avx512
