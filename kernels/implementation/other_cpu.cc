#include "kernels/implementation.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/implementation/vector_kernels.h"

namespace kvcast::kernels {

bool runs_here(Implementation implementation) {
  return implementation == Implementation::kScalar;
}

const VectorKernels* vector_kernels(Implementation) {
  return nullptr;
}

const EncodeKernels& encode_kernels(Implementation) {
  static constexpr EncodeKernels kScalar{scalar::encode_symbols, &scalar::kQuantisingKernels};
  return kScalar;
}

}  // namespace kvcast::kernels
