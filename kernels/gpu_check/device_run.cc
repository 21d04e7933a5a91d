#include "kernels/gpu_check/device_run.h"

#include <algorithm>
#include <stdexcept>

namespace kvcast::kernels::gpu_check {
namespace {

void require(const Check& check) {
  if (!check) throw std::runtime_error(check.fault().what);
}

template <typename T>
T require(Checked<T> value) {
  if (!value) throw std::runtime_error(value.fault().what);
  return std::move(*value);
}

}  // namespace

DevicePlane PlaneBlock::add(std::span<const std::byte> bytes) {
  const uint64_t offset = block_.size();
  block_.insert(block_.end(), bytes.begin(), bytes.end());
  block_.resize((block_.size() + kDevicePlaneAlignment - 1) / kDevicePlaneAlignment *
                kDevicePlaneAlignment);
  return {bytes, offset};
}

DeviceRun::DeviceRun(DeviceRuntime& device)
    : device_(device), stream_(require(device.create_stream())) {}

DeviceRuntime::Owner DeviceRun::upload(std::span<const std::byte> bytes) {
  auto memory = require(device_.allocate(std::max<size_t>(bytes.size(), 1)));
  const DeviceStream stream = DeviceRuntime::stream(stream_);
  require(device_.copy_to_device(memory.get(), bytes.data(), bytes.size(), stream));
  require(device_.synchronise(stream));
  return memory;
}

DeviceRuntime::Owner DeviceRun::filled(size_t bytes, uint8_t value) {
  auto memory = require(device_.allocate(std::max<size_t>(bytes, 1)));
  require(device_.fill(memory.get(), value, bytes, DeviceRuntime::stream(stream_)));
  return memory;
}

std::vector<std::byte> DeviceRun::download(const void* from_dev, size_t bytes) {
  std::vector<std::byte> to(bytes);
  const DeviceStream stream = DeviceRuntime::stream(stream_);
  require(device_.copy_to_host(to.data(), from_dev, bytes, stream));
  require(device_.synchronise(stream));
  return to;
}

DeviceRun::Decoded DeviceRun::decode(const DecodePlan& plan, const void* profile_dev,
                                     const void* planes_dev, uint32_t max_sms) {
  const DeviceStream stream = DeviceRuntime::stream(stream_);
  const size_t error_bytes = plan.sections() * sizeof(uint32_t);
  Decoded decoded{std::vector<uint32_t>(plan.sections()),
                  filled(std::max<size_t>(plan.scratch_bytes(), 1), 0x9B)};
  const auto errors = filled(error_bytes, 0xFF);
  const auto descriptors = require(device_.allocate_pinned(plan.descriptor_bytes() + 1));
  auto* to = static_cast<std::byte*>(descriptors.get());
  plan.write_descriptors({to, plan.descriptor_bytes()});
  DecodeMemory memory;
  memory.profile_dev = static_cast<const std::byte*>(profile_dev);
  memory.planes_dev = static_cast<const std::byte*>(planes_dev);
  memory.scratch_dev = static_cast<std::byte*>(decoded.scratch.get());
  memory.descriptors = to;
  memory.errors_dev = static_cast<uint32_t*>(errors.get());
  require(device_.decode(plan, memory, {max_sms}, stream));
  require(device_.copy_to_host(decoded.errors.data(), errors.get(), error_bytes, stream));
  require(device_.synchronise(stream));
  return decoded;
}

}  // namespace kvcast::kernels::gpu_check
