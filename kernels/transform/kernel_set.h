// The transform's kernels of one implementation.
#pragma once

#include "kernels/transform/column_kernels.h"
#include "kernels/transform/inverse_kernels.h"

namespace kvcast::kernels {

struct TransformKernels {
  const ColumnKernels* columns;
  const InverseKernels* inverse;
  const FinishKernels* finish;
};

}  // namespace kvcast::kernels
