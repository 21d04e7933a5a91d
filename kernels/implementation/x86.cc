#include "kernels/implementation.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/implementation/vector_kernels.h"

namespace kvcast::kernels {

bool runs_here(Implementation implementation) {
  switch (implementation) {
    case Implementation::kScalar:
      return true;
    case Implementation::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("popcnt");
    case Implementation::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("popcnt");
  }
  return false;
}

const VectorKernels* vector_kernels(Implementation implementation) {
  static constexpr VectorKernels kAvx2{{avx2::decode_symbols, avx2::refine_values},
                                       {avx2::reconstruct_rows},
                                       &avx2::kTransformKernels};
  static constexpr VectorKernels kAvx512{{avx512::decode_symbols, avx512::refine_values},
                                         {avx512::reconstruct_rows},
                                         &avx512::kTransformKernels};
  switch (implementation) {
    case Implementation::kScalar:
      return nullptr;
    case Implementation::kAvx2:
      return &kAvx2;
    case Implementation::kAvx512:
      return &kAvx512;
  }
  return nullptr;
}

const EncodeKernels& encode_kernels(Implementation implementation) {
  // AVX2 has no way to code symbols that is faster than scalar's: it would look up three tables a
  // symbol by gathers, and store words without a compress instruction.
  static constexpr EncodeKernels kScalar{scalar::encode_symbols, &scalar::kQuantisingKernels};
  static constexpr EncodeKernels kAvx2{scalar::encode_symbols, &avx2::kQuantisingKernels};
  static constexpr EncodeKernels kAvx512{avx512::encode_symbols, &avx512::kQuantisingKernels};
  switch (implementation) {
    case Implementation::kScalar:
      return kScalar;
    case Implementation::kAvx2:
      return kAvx2;
    case Implementation::kAvx512:
      return kAvx512;
  }
  return kScalar;
}

}  // namespace kvcast::kernels
