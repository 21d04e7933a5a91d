#include "kernels/emulated_device.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <vector>

namespace kvcast::kernels {
namespace {

constexpr size_t kAlignment = 256;

std::byte* aligned(std::byte* storage) {
  const auto address = reinterpret_cast<uintptr_t>(storage);
  return storage + (kAlignment - address % kAlignment) % kAlignment;
}

}  // namespace

EmulatedDevice::EmulatedDevice(const Params& params)
    : params_(params),
      info_{"emulated in host memory", 4, params.memory_bytes},
      random_(params.seed) {}

EmulatedDevice::~EmulatedDevice() = default;

std::optional<Fault> EmulatedDevice::count_call(const char* name) {
  ++calls_;
  if (fail_at_ == 0 || calls_ < fail_at_) return std::nullopt;
  if (calls_ > fail_at_ && !fail_for_good_) return std::nullopt;
  return Fault{std::string(name) + ": made to fail"};
}

void EmulatedDevice::fail_call(uint64_t n, bool for_good) {
  const std::lock_guard lock(mutex_);
  fail_at_ = calls_ + n;
  fail_for_good_ = for_good;
}

uint64_t EmulatedDevice::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}
uint64_t EmulatedDevice::memory_used() const {
  const std::lock_guard lock(mutex_);
  return memory_used_;
}
uint64_t EmulatedDevice::most_memory_used() const {
  const std::lock_guard lock(mutex_);
  return most_memory_used_;
}
uint64_t EmulatedDevice::pinned_used() const {
  const std::lock_guard lock(mutex_);
  return pinned_used_;
}
size_t EmulatedDevice::owned() const {
  const std::lock_guard lock(mutex_);
  return allocations_.size() + streams_.size() + events_.size();
}

Checked<DeviceRuntime::Owner> EmulatedDevice::allocate_from(size_t bytes, bool pinned,
                                                            const char* name) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call(name)) return *fault;
  if (!pinned && bytes > params_.memory_bytes - std::min(memory_used_, params_.memory_bytes)) {
    return Fault{std::string(name) + ": out of memory"};
  }
  Allocation allocation{std::make_unique_for_overwrite<std::byte[]>(bytes + kAlignment), bytes,
                        pinned};
  // What nobody wrote reads as anything.
  std::memset(allocation.storage.get(), 0xA5, bytes + kAlignment);
  void* handle = aligned(allocation.storage.get());
  allocations_.emplace(handle, std::move(allocation));
  if (pinned) {
    pinned_used_ += bytes;
  } else {
    memory_used_ += bytes;
    most_memory_used_ = std::max(most_memory_used_, memory_used_);
  }
  return Owner(handle, {this, pinned ? Resource::kPinned : Resource::kMemory});
}

Checked<DeviceRuntime::Owner> EmulatedDevice::allocate(size_t bytes) {
  return allocate_from(bytes, false, "allocate");
}

Checked<DeviceRuntime::Owner> EmulatedDevice::allocate_pinned(size_t bytes) {
  return allocate_from(bytes, true, "allocate_pinned");
}

Checked<DeviceRuntime::Owner> EmulatedDevice::create_stream() {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("create_stream")) return *fault;
  auto stream = std::make_unique<Stream>();
  void* handle = stream.get();
  streams_.emplace(handle, std::move(stream));
  return Owner(handle, {this, Resource::kStream});
}

Checked<DeviceRuntime::Owner> EmulatedDevice::create_event() {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("create_event")) return *fault;
  auto event = std::make_shared<Event>();
  void* handle = event.get();
  events_.emplace(handle, std::move(event));
  return Owner(handle, {this, Resource::kEvent});
}

void EmulatedDevice::release(Resource resource, void* handle) {
  const std::lock_guard lock(mutex_);
  if (resource == Resource::kStream) {
    streams_.erase(handle);
  } else if (resource == Resource::kEvent) {
    events_.erase(handle);
  } else if (const auto found = allocations_.find(handle); found != allocations_.end()) {
    (resource == Resource::kPinned ? pinned_used_ : memory_used_) -= found->second.bytes;
    allocations_.erase(found);
  }
}

bool EmulatedDevice::in_one_allocation(const void* pointer, size_t bytes) const {
  auto after = allocations_.upper_bound(const_cast<void*>(pointer));
  if (after == allocations_.begin()) return false;
  const auto& [begin, allocation] = *--after;
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(pointer) -
                                          static_cast<const std::byte*>(begin));
  return !allocation.pinned && offset <= allocation.bytes && bytes <= allocation.bytes - offset;
}

bool EmulatedDevice::is_device_memory(const void* pointer, size_t bytes) const {
  const std::lock_guard lock(mutex_);
  return in_one_allocation(pointer, bytes);
}

}  // namespace kvcast::kernels
