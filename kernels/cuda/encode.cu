#include <cuda_runtime.h>

#include "kernels/cuda/encode_launches.cuh"
#include "kernels/cuda/launcher.cuh"
#include "kernels/cuda/memory_check.h"

namespace kvcast::kernels {
namespace {

// What every step does before its kernels.
Check begin_step(const DeviceEncoding& encoding, const EncodeMemory& memory,
                 CudaLauncher& launcher) {
  if (Check check = check_address(memory.profile_dev, kDeviceAlignment, "profile_dev"); !check)
    return check;
  if (Check check = check_address(memory.scratch_dev, kDeviceAlignment, "scratch_dev"); !check)
    return check;
  if (Check check = check_address(memory.descriptors_dev, kDeviceAlignment, "descriptors_dev");
      !check) {
    return check;
  }
  if (Check check = check_address(memory.descriptors, 1, "descriptors"); !check) return check;
  launcher.copy(memory.descriptors_dev, memory.descriptors, encoding.descriptor_bytes());
  return {};
}

}  // namespace

Check quantise_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                         const DeviceShare& share, DeviceStream stream) {
  if (encoding.contents().sections.empty()) return {};
  CudaLauncher launcher(share, stream);
  if (Check check = begin_step(encoding, memory, launcher); !check) return check;
  if (Check check = check_address(memory.report, 1, "report"); !check) return check;
  launch_quantise(encoding.contents(), memory, launcher);
  launcher.copy_back(memory.report, memory.scratch_dev + encoding.contents().report_offset,
                     encoding.report_bytes());
  return launcher.check();
}

Check code_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                     const DeviceShare& share, DeviceStream stream) {
  if (encoding.contents().streams.empty()) return {};
  CudaLauncher launcher(share, stream);
  if (Check check = begin_step(encoding, memory, launcher); !check) return check;
  if (Check check = check_address(memory.streams_dev, kDeviceAlignment, "streams_dev"); !check)
    return check;
  if (Check check = check_address(memory.report, 1, "report"); !check) return check;
  launch_code(encoding.contents(), memory, launcher);
  launcher.copy_back(memory.report, memory.streams_dev + encoding.contents().report_offset,
                     encoding.report_bytes());
  return launcher.check();
}

Check gather_on_device(const DeviceEncoding& encoding, const EncodeMemory& memory,
                       const DeviceShare& share, DeviceStream stream) {
  if (encoding.output_bytes() == 0) return {};
  CudaLauncher launcher(share, stream);
  if (Check check = begin_step(encoding, memory, launcher); !check) return check;
  if (Check check = check_address(memory.output_dev, kDeviceAlignment, "output_dev"); !check)
    return check;
  if (encoding.streams_bytes() > 0) {
    if (Check check = check_address(memory.streams_dev, kDeviceAlignment, "streams_dev"); !check)
      return check;
  }
  launch_gather(encoding.contents(), memory, launcher);
  return launcher.check();
}

}  // namespace kvcast::kernels
