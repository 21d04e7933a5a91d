// Test helper: decode_on_device() on the emulated device, "device" memory being the host's.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device_decode.h"

namespace kvcast::kernels {

// Host memory that stands in for the device's: at a multiple of kDeviceAlignment, of just that
// size, full of garbage.
class EmulatedMemory {
 public:
  explicit EmulatedMemory(size_t bytes);
  explicit EmulatedMemory(std::span<const std::byte> contents);
  ~EmulatedMemory();
  EmulatedMemory(EmulatedMemory&& other) noexcept;
  EmulatedMemory(const EmulatedMemory&) = delete;
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_;
  size_t size_;
};

// Planes of some sections one after the other, as a player would upload them.
class PlanesBlock {
 public:
  // Keeps no reference to `bytes`, but the plane does.
  DevicePlane add(std::span<const std::byte> bytes);
  std::vector<DevicePlane> add_all(std::span<const std::vector<std::byte>> planes);
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

struct EmulatedDecode {
  EmulatedMemory scratch;
  std::vector<uint32_t> errors;  // [section]
};

// `max_blocks` of a launch: fewer than there is work for, so that blocks take several tasks.
EmulatedDecode decode_emulated(const DecodePlan& plan, const DeviceProfile& profile,
                               std::span<const std::byte> planes, uint32_t max_blocks = 3);

}  // namespace kvcast::kernels
