#include "kernels/cuda.h"
#include "kernels/device_decode.h"
#include "kernels/device_encode.h"
#include "kernels/device_runtime.h"

namespace kvcast::kernels {
namespace {

constexpr const char* kNoToolkit = "built without the CUDA Toolkit";

Fault no_device() {
  return {std::string("no device: ") + kNoToolkit};
}

}  // namespace

CudaProbe probe_cuda() {
  return {false, false, kNoToolkit};
}

Check decode_on_device(const DecodePlan&, const DecodeMemory&, const DeviceShare&, DeviceStream) {
  return no_device();
}
Check quantise_on_device(const DeviceEncoding&, const EncodeMemory&, const DeviceShare&,
                         DeviceStream) {
  return no_device();
}
Check code_on_device(const DeviceEncoding&, const EncodeMemory&, const DeviceShare&, DeviceStream) {
  return no_device();
}
Check gather_on_device(const DeviceEncoding&, const EncodeMemory&, const DeviceShare&,
                       DeviceStream) {
  return no_device();
}

Checked<std::unique_ptr<DeviceRuntime>> open_cuda_device(uint32_t /*ordinal*/) {
  return Fault{
      "no CUDA device: this program was built without the CUDA Toolkit; build it with "
      "-DKVCAST_CUDA=ON, or decode on the CPU"};
}

}  // namespace kvcast::kernels
