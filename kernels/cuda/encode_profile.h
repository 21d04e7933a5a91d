// What a DeviceEncodeProfile holds.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/device_encode.h"

namespace kvcast::kernels {

struct DeviceEncodeProfile::Contents {
  explicit Contents(const Profile& profile) : device(profile) {}
  DeviceProfile device;  // its image is the beginning of this one's
  std::vector<std::byte> image;
  uint64_t classes = 0;          // EncodeClassImage[]
  std::vector<uint64_t> blocks;  // [2 * group + side]: EncodeBlockImage[]
};

}  // namespace kvcast::kernels
