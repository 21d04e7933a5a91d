#include "kernels/cuda.h"
#include "kernels/device_decode.h"

namespace kvcast::kernels {
namespace {

constexpr const char* kNoToolkit = "built without the CUDA Toolkit";

}  // namespace

CudaProbe probe_cuda() {
  return {false, false, kNoToolkit};
}

Check decode_on_device(const DecodePlan&, const DecodeMemory&, const DeviceShare&, DeviceStream) {
  return Fault{std::string("no device: ") + kNoToolkit};
}

}  // namespace kvcast::kernels
