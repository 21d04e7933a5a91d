// The encoder's kernels of each implementation, found once for a codec.
#pragma once

#include "kernels/entropy/rans_encode_kernels.h"
#include "kernels/implementation.h"
#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {

struct EncodeKernels {
  EncodeSymbols encode_symbols;
  const QuantisingKernels* quantising;
};

const EncodeKernels& encode_kernels(Implementation implementation);

}  // namespace kvcast::kernels
