// The vector kernels of each implementation, found once for a codec.
#pragma once

#include "kernels/entropy/rans_kernels.h"
#include "kernels/implementation.h"
#include "kernels/quantise/quantiser_kernels.h"

namespace kvcast::kernels {

struct VectorKernels {
  RansKernels rans;
  QuantiserKernels quantiser;
};

// nullptr: the implementation has none, and the scalar functions do the work.
const VectorKernels* vector_kernels(Implementation implementation);

}  // namespace kvcast::kernels
