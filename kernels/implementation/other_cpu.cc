#include "kernels/implementation.h"
#include "kernels/implementation/vector_kernels.h"

namespace kvcast::kernels {

bool runs_here(Implementation implementation) {
  return implementation == Implementation::kScalar;
}

const VectorKernels* vector_kernels(Implementation) {
  return nullptr;
}

}  // namespace kvcast::kernels
