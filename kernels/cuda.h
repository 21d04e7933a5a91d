// Whether CUDA kernels were compiled in and a device answers. Without the toolkit,
// kernels/cuda/no_device.cc supplies the same symbols.
#pragma once

#include <string>

namespace kvcast::kernels {

struct CudaProbe {
  bool compiled = false;  // built with the CUDA Toolkit
  bool device = false;    // a device ran a kernel and its result was right
  std::string detail;     // device name, or why there is none
};

CudaProbe probe_cuda();

}  // namespace kvcast::kernels
