// A profile as CUDA kernels read it: one position-independent block of bytes, made on the host
// without CUDA, to be copied to the device once for all chunks of all contexts of a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"

struct CUstream_st;  // CUDA's, of the global namespace

namespace kvcast::kernels {

// cudaStream_t. Declared here so that callers compile without CUDA; nullptr is the default stream.
using DeviceStream = ::CUstream_st*;

// What every device address that calls take must be a multiple of; cudaMalloc gives 256.
inline constexpr size_t kDeviceAlignment = 256;

// Immutable; any number of threads.
class DeviceProfile {
 public:
  // `profile` must be valid and outlive this. Memory: image().size(); about the profile's own, and
  // 16 KiB a class.
  explicit DeviceProfile(const Profile& profile);
  const Profile& profile() const { return *profile_; }

  // The caller copies it to device memory of its own, at a multiple of kDeviceAlignment, and keeps
  // that until the last kernel that was given it has finished.
  std::span<const std::byte> image() const { return image_; }

  // For kernels/cuda: where section [2 * group + side] begins in the image.
  uint64_t section_offset(uint32_t group, Side side) const {
    return sections_[2 * group + static_cast<uint32_t>(side)];
  }

 private:
  const Profile* profile_;
  std::vector<uint64_t> sections_;
  std::vector<std::byte> image_;
};

}  // namespace kvcast::kernels
