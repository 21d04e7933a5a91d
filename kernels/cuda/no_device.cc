#include "kernels/cuda.h"

namespace kvcast::kernels {

CudaProbe probe_cuda() {
  return {false, false, "built without the CUDA Toolkit"};
}

}  // namespace kvcast::kernels
