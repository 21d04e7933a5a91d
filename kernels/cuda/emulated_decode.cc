#include "kernels/cuda/emulated_decode.h"

#include <algorithm>
#include <new>
#include <utility>

#include "kernels/cuda/decode_launches.cuh"
#include "kernels/cuda/emulated_launcher.cuh"

namespace kvcast::kernels {

EmulatedMemory::EmulatedMemory(size_t bytes)
    : data_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kDeviceAlignment}))),
      size_(bytes) {
  std::fill_n(data_, size_, std::byte{0x9B});
}

EmulatedMemory::EmulatedMemory(std::span<const std::byte> contents)
    : EmulatedMemory(contents.size()) {
  std::copy(contents.begin(), contents.end(), data_);
}

EmulatedMemory::EmulatedMemory(EmulatedMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

EmulatedMemory::~EmulatedMemory() {
  ::operator delete (data_, std::align_val_t{kDeviceAlignment});
}

DevicePlane PlanesBlock::add(std::span<const std::byte> bytes) {
  const DevicePlane plane{bytes, bytes_.size()};
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  bytes_.resize((bytes_.size() + kDevicePlaneAlignment - 1) / kDevicePlaneAlignment *
                kDevicePlaneAlignment);
  return plane;
}

std::vector<DevicePlane> PlanesBlock::add_all(std::span<const std::vector<std::byte>> planes) {
  std::vector<DevicePlane> added;
  for (const auto& plane : planes) added.push_back(add(plane));
  return added;
}

EmulatedDecode decode_emulated(const DecodePlan& plan, const DeviceProfile& profile,
                               std::span<const std::byte> planes, uint32_t max_blocks) {
  EmulatedDecode result{EmulatedMemory(plan.scratch_bytes()),
                        std::vector<uint32_t>(plan.sections(), 0xDEADBEEF)};
  const EmulatedMemory profile_dev(profile.image()), planes_dev(planes);
  plan.write_descriptors(
      {result.scratch.data() + plan.contents().descriptors_offset, plan.descriptor_bytes()});
  const DecodeMemory memory{profile_dev.data(), planes_dev.data(), result.scratch.data(), nullptr,
                            result.errors.data()};
  EmulatedLauncher launcher{max_blocks};
  launch_decode(plan.contents(), memory, launcher);
  return result;
}

}  // namespace kvcast::kernels
