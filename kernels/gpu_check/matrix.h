// Kernels against the scalar reference, on sections of random shape, profile and content: the same
// matrix on a GPU (tools/gpu_check) and on the emulated device (tests).
#pragma once

#include <cstdint>
#include <string>

#include "kernels/device_runtime.h"

namespace kvcast::kernels::gpu_check {

struct CheckResult {
  std::string name;
  uint64_t cases = 0, failures = 0;
  std::string first_failure, note;
};

// Coefficients bit for bit, at every level.
CheckResult check_coefficients(DeviceRuntime& device, uint32_t sections, uint32_t seed);

// KV in all layouts within a place of the type, at every level, and nothing else written. The note
// tells how many values differ at all.
CheckResult check_kv(DeviceRuntime& device, uint32_t sections, uint32_t seed);

// Planes with a bit changed or their end cut off: refused where scalar refuses, else the same
// coefficients. The note tells how many were refused on the host, and how many by the device.
CheckResult check_damage(DeviceRuntime& device, uint32_t planes, uint32_t seed);

}  // namespace kvcast::kernels::gpu_check
