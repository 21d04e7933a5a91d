#include "player/device/memory.h"

#include <algorithm>

namespace kvcast::player {
namespace {

using kernels::Check;
using kernels::Checked;
using kernels::DeviceRuntime;
using manifests::Error;
using manifests::ErrorKind;

constexpr size_t kPieceBytes = 256 << 10;  // long enough for a copy to reach the bus's rate

// The first fault of several calls; later ones are not made.
class Calls {
 public:
  void own(DeviceRuntime::Owner& to, Checked<DeviceRuntime::Owner> owner) {
    if (owner) {
      to = std::move(*owner);
    } else if (check_) {
      check_ = owner.fault();
    }
  }
  const Check& check() const { return check_; }

 private:
  Check check_;
};

}  // namespace

Checked<std::unique_ptr<DeviceMemory>> DeviceMemory::create(DeviceRuntime& device,
                                                            const DeviceRoomParams& params) {
  auto ring = PinnedRing::create(device, params.ring_bytes, kPieceBytes);
  if (!ring) return ring.fault();
  auto memory = std::make_unique<DeviceMemory>(std::move(*ring), params.compressed_bytes);
  memory->scratch_bytes = params.scratch_bytes;
  const uint32_t quarter = std::max(1u, device.info().multiprocessors / 4);
  memory->share.max_sms = params.max_sms > 0 ? params.max_sms : quarter;

  constexpr size_t kErrorBytes = BatchSlot::kSections * sizeof(uint32_t);
  constexpr size_t kPinnedBytes = BatchSlot::kDescriptorBytes + kErrorBytes;
  Calls calls;
  calls.own(memory->planes_dev, device.allocate(memory->arena.bytes()));
  calls.own(memory->scratch_dev, device.allocate(params.scratch_bytes));
  calls.own(memory->errors_dev, device.allocate(kSlots * kErrorBytes));
  calls.own(memory->pinned, device.allocate_pinned(kSlots * kPinnedBytes));
  calls.own(memory->copies, device.create_stream());
  calls.own(memory->decodes, device.create_stream());
  calls.own(memory->placing, device.create_stream());
  for (size_t i = 0; i < kSlots; ++i) {
    BatchSlot& slot = memory->slots[i];
    calls.own(slot.copied, device.create_event());
    calls.own(slot.done, device.create_event());
    if (!calls.check()) break;
    slot.descriptors = static_cast<std::byte*>(memory->pinned.get()) + i * kPinnedBytes;
    slot.errors = reinterpret_cast<uint32_t*>(slot.descriptors + BatchSlot::kDescriptorBytes);
    slot.errors_dev = static_cast<uint32_t*>(memory->errors_dev.get()) + i * BatchSlot::kSections;
  }
  if (!calls.check()) return calls.check().fault();
  return memory;
}

DeviceRoom::DeviceRoom(DeviceRuntime& device, std::unique_ptr<DeviceMemory> memory)
    : device_(device), memory_(std::move(memory)) {}

DeviceRoom::~DeviceRoom() = default;

manifests::Result<std::unique_ptr<DeviceRoom>> DeviceRoom::create(DeviceRuntime& device,
                                                                  const DeviceRoomParams& params) {
  auto memory = DeviceMemory::create(device, params);
  if (!memory) {
    return Error{ErrorKind::kIo,
                 "device " + device.info().name + ": " + memory.fault().what +
                     "; give decoding less room (compressed_bytes, scratch_bytes), or decode on "
                     "the CPU"};
  }
  return std::unique_ptr<DeviceRoom>(new DeviceRoom(device, std::move(*memory)));
}

}  // namespace kvcast::player
