// What a device sink allocates, all of it before a play.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/device_decode.h"
#include "player/device/arena.h"
#include "player/device/pinned_ring.h"
#include "player/device_sink.h"

namespace kvcast::player {

// What a batch of sections that are decoded together occupies until its event has passed.
struct BatchSlot {
  static constexpr size_t kSections = 512, kDescriptorBytes = size_t{4} << 20;
  kernels::DeviceRuntime::Owner copied, done;  // events
  std::byte* descriptors = nullptr;            // pinned, kDescriptorBytes
  uint32_t* errors = nullptr;                  // pinned, kSections
  uint32_t* errors_dev = nullptr;
};

// A profile on the device, kept from play to play: a model's contexts share one.
struct DeviceProfileCopy {
  explicit DeviceProfileCopy(const kernels::Profile& given) : profile(given), on_host(profile) {}
  kernels::Profile profile;
  kernels::DeviceProfile on_host;  // of `profile`
  kernels::DeviceRuntime::Owner image_dev;
};

struct DeviceMemory {
  static constexpr size_t kSlots = 3;  // batches under way

  static kernels::Checked<std::unique_ptr<DeviceMemory>> create(kernels::DeviceRuntime& device,
                                                                const DeviceRoomParams& params);
  explicit DeviceMemory(PinnedRing given_ring, size_t arena_bytes)
      : ring(std::move(given_ring)), arena(arena_bytes) {}
  std::byte* planes() const { return static_cast<std::byte*>(planes_dev.get()); }

  kernels::DeviceRuntime::Owner planes_dev, scratch_dev, errors_dev, pinned;
  PinnedRing ring;
  std::array<BatchSlot, kSlots> slots;
  kernels::DeviceRuntime::Owner copies, decodes, placing;  // streams
  Arena arena;                                             // of planes_dev
  std::unique_ptr<DeviceProfileCopy> profile;
  size_t scratch_bytes = 0;
  kernels::DeviceShare share;
};

}  // namespace kvcast::player
