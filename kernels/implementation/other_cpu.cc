#include "kernels/implementation.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/implementation/transform_kernels.h"
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

namespace {

constexpr NamedTransformKernels kTransform[] = {
    {"scalar", {&scalar::kColumnKernels, &scalar::kInverseKernels, &scalar::kFinishKernels}}};

}  // namespace

const TransformKernels& transform_kernels(Implementation) {
  return kTransform[0].kernels;
}

std::span<const NamedTransformKernels> transform_kernels_here() {
  return kTransform;
}

}  // namespace kvcast::kernels
