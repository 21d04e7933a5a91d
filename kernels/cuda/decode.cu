#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/decode_launches.cuh"
#include "kernels/cuda/launcher.cuh"
#include "kernels/cuda/memory_check.h"

namespace kvcast::kernels {

Check decode_on_device(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
                       DeviceStream stream) {
  if (plan.sections() == 0) return {};
  if (Check check = check_memory(plan, memory); !check) return check;
  CudaLauncher launcher(share, stream);
  launcher.copy(memory.scratch_dev + plan.contents().descriptors_offset, memory.descriptors,
                plan.descriptor_bytes());
  launch_decode(plan.contents(), memory, launcher);
  return launcher.check();
}

}  // namespace kvcast::kernels
