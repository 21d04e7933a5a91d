#include "player/device/pinned_ring.h"

#include <algorithm>

namespace kvcast::player {

using kernels::Check;
using kernels::Checked;

Checked<PinnedRing> PinnedRing::create(kernels::DeviceRuntime& device, size_t bytes,
                                       size_t piece_bytes) {
  PinnedRing ring;
  ring.device_ = &device;
  ring.piece_bytes_ = piece_bytes;
  const size_t pieces = std::max<size_t>(2, bytes / piece_bytes);
  auto memory = device.allocate_pinned(pieces * piece_bytes);
  if (!memory) return memory.fault();
  ring.memory_ = std::move(*memory);
  for (size_t i = 0; i < pieces; ++i) {
    auto event = device.create_event();
    if (!event) return event.fault();
    ring.copied_.push_back(std::move(*event));
  }
  return ring;
}

Checked<std::byte*> PinnedRing::next() {
  const auto free = device_->passed(copied_[next_].get());
  if (!free) return free.fault();
  if (!*free) return static_cast<std::byte*>(nullptr);
  return static_cast<std::byte*>(memory_.get()) + next_ * piece_bytes_;
}

Check PinnedRing::send(void* to_dev, size_t bytes, kernels::DeviceStream stream) {
  const std::byte* from = static_cast<std::byte*>(memory_.get()) + next_ * piece_bytes_;
  if (Check copied = device_->copy_to_device(to_dev, from, bytes, stream); !copied) return copied;
  if (Check recorded = device_->record(copied_[next_].get(), stream); !recorded) return recorded;
  next_ = (next_ + 1) % copied_.size();
  return {};
}

}  // namespace kvcast::player
