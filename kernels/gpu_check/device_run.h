// One-off use of a device, step by step and waiting: for checks, where speed is not the point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/device_decode.h"
#include "kernels/device_runtime.h"

namespace kvcast::kernels::gpu_check {

// Planes (and sinks) in one block, as the device gets them; the spans point into it.
class PlaneBlock {
 public:
  DevicePlane add(std::span<const std::byte> bytes);  // `bytes` must outlive the block's use
  std::span<const std::byte> bytes() const { return block_; }

 private:
  std::vector<std::byte> block_;
};

// Throws std::runtime_error with the device's words when a call fails.
class DeviceRun {
 public:
  explicit DeviceRun(DeviceRuntime& device);

  DeviceRuntime::Owner upload(std::span<const std::byte> bytes);
  DeviceRuntime::Owner filled(size_t bytes, uint8_t value);
  std::vector<std::byte> download(const void* from_dev, size_t bytes);

  struct Decoded {
    std::vector<uint32_t> errors;  // [section]
    DeviceRuntime::Owner scratch;
  };
  Decoded decode(const DecodePlan& plan, const void* profile_dev, const void* planes_dev,
                 uint32_t max_sms);

 private:
  DeviceRuntime& device_;
  DeviceRuntime::Owner stream_;
};

}  // namespace kvcast::kernels::gpu_check
