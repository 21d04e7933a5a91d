#include "tools/commands/play_device.h"

#include <fmt/format.h>

#include <charconv>

#include "kernels/emulated_device.h"

namespace kvcast::tools {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

Result<std::unique_ptr<kernels::DeviceRuntime>> open_device(const std::string& name) {
  if (name == "emulated") {
    return std::unique_ptr<kernels::DeviceRuntime>(std::make_unique<kernels::EmulatedDevice>());
  }
  uint32_t ordinal = 0;
  const auto read = std::from_chars(name.data(), name.data() + name.size(), ordinal);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size()) {
    return Error{ErrorKind::kUsage,
                 fmt::format("play: --device {}: give the number of a CUDA device, or \"emulated\"",
                             name)};
  }
  auto device = kernels::open_cuda_device(ordinal);
  if (!device) return Error{ErrorKind::kIo, "play: " + device.fault().what};
  return std::move(*device);
}

}  // namespace

Result<std::unique_ptr<PlayDevice>> PlayDevice::open(const std::string& name,
                                                     const std::string& layout, uint32_t max_sms) {
  std::optional<player::CacheShape> shape;
  std::string names;
  for (const player::CacheShape known : player::kCacheShapes) {
    const std::string known_name = player::cache_shape_name(known);
    if (layout == known_name) shape = known;
    names += (names.empty() ? "" : ", ") + known_name;
  }
  if (!shape) {
    return Error{ErrorKind::kUsage,
                 fmt::format("play: no layout is called \"{}\"; there are {}", layout, names)};
  }
  auto made = std::make_unique<PlayDevice>();
  auto device = open_device(name);
  if (!device) return device.error();
  made->device_ = std::move(*device);
  player::DeviceRoomParams params;
  params.max_sms = max_sms;
  auto room = player::DeviceRoom::create(*made->device_, params);
  if (!room) return room.error();
  made->room_ = std::move(*room);
  made->sink_ = std::make_unique<player::EngineCacheSink>(*made->room_, *shape);
  return made;
}

}  // namespace kvcast::tools
