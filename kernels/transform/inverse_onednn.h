// Wide products by oneDNN, which uses AMX where the CPU has it. An optional part: without
// KVCAST_ONEDNN another file answers that there is none.
#pragma once

#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels::onednn {

struct Products {
  InverseKernels kernels;
  bool amx;  // this CPU has it; else the vector kernels are as fast or faster
};

// nullptr: built without oneDNN, or this CPU lacks AVX-512's arithmetic on bf16.
const Products* products();

}  // namespace kvcast::kernels::onednn
