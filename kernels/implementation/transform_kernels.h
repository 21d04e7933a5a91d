// The transform's kernels of each implementation. Wider instructions than an implementation
// promises are used where the CPU has them: AVX-512's own arithmetic on bf16.
#pragma once

#include <span>

#include "kernels/implementation.h"
#include "kernels/transform/kernel_set.h"

namespace kvcast::kernels {

const TransformKernels& transform_kernels(Implementation implementation);

// Every one that runs here, scalar first: for tests and benchmarks.
struct NamedTransformKernels {
  const char* name;
  TransformKernels kernels;
};
std::span<const NamedTransformKernels> transform_kernels_here();

}  // namespace kvcast::kernels
