// Pinned memory between objects in ordinary memory and a device: pieces of one size, used in turn,
// each again once the copy out of it has happened. Fixed memory; a full ring is the back-pressure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/device_runtime.h"

namespace kvcast::player {

// One thread at a time. End it after the stream of its copies is idle.
class PinnedRing {
 public:
  // `bytes` are cut into pieces of `piece_bytes`, two at least.
  static kernels::Checked<PinnedRing> create(kernels::DeviceRuntime& device, size_t bytes,
                                             size_t piece_bytes);

  size_t piece_bytes() const { return piece_bytes_; }

  // The next piece, or null while the device still reads it.
  kernels::Checked<std::byte*> next();

  // Enqueues the copy of the first `bytes` of the piece that next() answered, and moves on.
  kernels::Check send(void* to_dev, size_t bytes, kernels::DeviceStream stream);

 private:
  PinnedRing() = default;
  kernels::DeviceRuntime* device_ = nullptr;
  size_t piece_bytes_ = 0;
  kernels::DeviceRuntime::Owner memory_;
  std::vector<kernels::DeviceRuntime::Owner> copied_;  // an event a piece
  size_t next_ = 0;
};

}  // namespace kvcast::player
