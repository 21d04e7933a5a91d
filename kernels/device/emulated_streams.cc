// What an emulated device's streams do, and in which order.
#include <cstring>
#include <stdexcept>
#include <vector>

#include "kernels/emulated_device.h"

namespace kvcast::kernels {

Check EmulatedDevice::enqueue(Item item, DeviceStream stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) throw std::logic_error("no stream of this device");
  found->second->items.push_back(std::move(item));
  if (!params_.deferred) run_all();
  return {};
}

bool EmulatedDevice::can_go_on(const Stream& stream) const {
  if (stream.items.empty()) return false;
  const Item& head = stream.items.front();
  return !head.waits || head.event->passed >= head.count;
}

void EmulatedDevice::run_head(Stream& stream) {
  const Item item = std::move(stream.items.front());
  stream.items.pop_front();
  if (item.work) item.work();
  if (item.event && !item.waits) item.event->passed = item.count;
}

bool EmulatedDevice::step_locked() {
  std::vector<Stream*> ready;
  for (const auto& [handle, stream] : streams_) {
    if (can_go_on(*stream)) ready.push_back(stream.get());
  }
  if (ready.empty()) return false;
  run_head(*ready[random_() % ready.size()]);
  return true;
}

bool EmulatedDevice::step() {
  const std::lock_guard lock(mutex_);
  return step_locked();
}

void EmulatedDevice::run_all() {
  const std::lock_guard lock(mutex_);
  while (step_locked()) {
  }
}

Check EmulatedDevice::launch(std::function<void()> work, DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("launch")) return *fault;
  return enqueue({std::move(work), nullptr, 0, false}, stream);
}

Check EmulatedDevice::copy_rows(const char* name, void* to, size_t to_stride, const void* from,
                                size_t from_stride, size_t row_bytes, size_t rows,
                                const void* device_side, size_t device_stride,
                                DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call(name)) return *fault;
  if (rows == 0 || row_bytes == 0) return {};
  if (row_bytes > to_stride || row_bytes > from_stride) {
    return Fault{std::string(name) + ": rows overlap"};
  }
  if (!in_one_allocation(device_side, (rows - 1) * device_stride + row_bytes)) {
    return Fault{std::string(name) + ": not memory of the device"};
  }
  const auto copy = [=] {
    for (size_t row = 0; row < rows; ++row) {
      std::memcpy(static_cast<std::byte*>(to) + row * to_stride,
                  static_cast<const std::byte*>(from) + row * from_stride, row_bytes);
    }
  };
  return enqueue({copy, nullptr, 0, false}, stream);
}

Check EmulatedDevice::copy_to_device(void* to_dev, const void* from, size_t bytes,
                                     DeviceStream stream) {
  return copy_rows("copy_to_device", to_dev, bytes, from, bytes, bytes, 1, to_dev, bytes, stream);
}

Check EmulatedDevice::copy_to_host(void* to, const void* from_dev, size_t bytes,
                                   DeviceStream stream) {
  return copy_rows("copy_to_host", to, bytes, from_dev, bytes, bytes, 1, from_dev, bytes, stream);
}

Check EmulatedDevice::copy_rows_to_device(void* to_dev, size_t to_stride, const void* from,
                                          size_t from_stride, size_t row_bytes, size_t rows,
                                          DeviceStream stream) {
  return copy_rows("copy_rows_to_device", to_dev, to_stride, from, from_stride, row_bytes, rows,
                   to_dev, to_stride, stream);
}

Check EmulatedDevice::copy_rows_to_host(void* to, size_t to_stride, const void* from_dev,
                                        size_t from_stride, size_t row_bytes, size_t rows,
                                        DeviceStream stream) {
  return copy_rows("copy_rows_to_host", to, to_stride, from_dev, from_stride, row_bytes, rows,
                   from_dev, from_stride, stream);
}

Check EmulatedDevice::fill(void* to_dev, uint8_t value, size_t bytes, DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("fill")) return *fault;
  if (!in_one_allocation(to_dev, bytes)) return Fault{"fill: not memory of the device"};
  return enqueue({[=] { std::memset(to_dev, value, bytes); }, nullptr, 0, false}, stream);
}

Check EmulatedDevice::record(DeviceEvent event, DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("record")) return *fault;
  const std::shared_ptr<Event>& recorded = events_.at(event);
  return enqueue({{}, recorded, ++recorded->recorded, false}, stream);
}

Check EmulatedDevice::wait(DeviceEvent event, DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("wait")) return *fault;
  const std::shared_ptr<Event>& waited = events_.at(event);
  return enqueue({{}, waited, waited->recorded, true}, stream);
}

Checked<bool> EmulatedDevice::passed(DeviceEvent event) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("passed")) return *fault;
  const Event& asked = *events_.at(event);
  return asked.passed >= asked.recorded;
}

Check EmulatedDevice::synchronise(DeviceStream stream) {
  const std::lock_guard lock(mutex_);
  if (auto fault = count_call("synchronise")) return *fault;
  while (!streams_.at(stream)->items.empty()) {
    if (!step_locked()) return Fault{"synchronise: the stream waits for an event that never comes"};
  }
  return {};
}

}  // namespace kvcast::kernels
