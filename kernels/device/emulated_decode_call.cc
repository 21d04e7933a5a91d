// The kernels' own source, run by an emulated device when its stream gets to them.
#include <algorithm>
#include <cstring>

#include "kernels/cuda/decode_launches.cuh"
#include "kernels/cuda/decode_plan.h"
#include "kernels/cuda/emulated_launcher.cuh"
#include "kernels/cuda/memory_check.h"
#include "kernels/emulated_device.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kMostBlocks = 8;  // one after the other anyway

}  // namespace

Check EmulatedDevice::decode(const DecodePlan& plan, const DecodeMemory& memory,
                             const DeviceShare& share, DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("decode")) return *fault;
  if (plan.sections() == 0) return {};
  if (Check sound = check_memory(plan, memory); !sound) return sound;
  const bool ours = in_one_allocation(memory.planes_dev, plan.planes_bytes()) &&
                    in_one_allocation(memory.scratch_dev, plan.scratch_bytes()) &&
                    in_one_allocation(memory.errors_dev, plan.sections() * sizeof(uint32_t));
  if (!ours) return Fault{"decode: not memory of the device"};
  const uint32_t blocks = share.max_sms > 0 ? std::min(share.max_sms, kMostBlocks) : kMostBlocks;
  const auto work = [&plan, memory, blocks] {
    std::memcpy(memory.scratch_dev + plan.contents().descriptors_offset, memory.descriptors,
                plan.descriptor_bytes());
    EmulatedLauncher launcher{blocks};
    launch_decode(plan.contents(), memory, launcher);
  };
  return enqueue({work, nullptr, 0, false}, stream);
}

}  // namespace kvcast::kernels
