// That what a caller passes for a launch is there and aligned.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/device_decode.h"
#include "kernels/fault.h"

namespace kvcast::kernels {

inline Check check_address(const void* memory_dev, size_t alignment, const char* name) {
  if (memory_dev == nullptr) return Fault{std::string(name) + " is null"};
  if (reinterpret_cast<uintptr_t>(memory_dev) % alignment != 0) {
    return Fault{std::string(name) + " is not a multiple of " + std::to_string(alignment)};
  }
  return {};
}

inline Check check_memory(const DecodePlan& plan, const DecodeMemory& memory) {
  if (Check check = check_address(memory.profile_dev, kDeviceAlignment, "profile_dev"); !check)
    return check;
  if (plan.planes_bytes() > 0) {
    if (Check check = check_address(memory.planes_dev, kDeviceAlignment, "planes_dev"); !check)
      return check;
  }
  if (Check check = check_address(memory.scratch_dev, kDeviceAlignment, "scratch_dev"); !check)
    return check;
  if (Check check = check_address(memory.descriptors, 1, "descriptors"); !check) return check;
  return check_address(memory.errors_dev, alignof(uint32_t), "errors_dev");
}

}  // namespace kvcast::kernels
