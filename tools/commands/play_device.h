// The device of `kvcast play --device`, and a cache on it that stands in for an engine's.
#pragma once

#include <memory>
#include <string>

#include "kernels/device_runtime.h"
#include "manifests/result.h"
#include "player/engine_cache.h"

namespace kvcast::tools {

class PlayDevice {
 public:
  // `name`: the number of a CUDA device, or "emulated". `layout`: a cache_shape_name.
  static manifests::Result<std::unique_ptr<PlayDevice>> open(const std::string& name,
                                                             const std::string& layout,
                                                             uint32_t max_sms);
  player::EngineCacheSink& sink() { return *sink_; }
  const std::string& name() const { return device_->info().name; }

 private:
  std::unique_ptr<kernels::DeviceRuntime> device_;
  std::unique_ptr<player::DeviceRoom> room_;
  std::unique_ptr<player::EngineCacheSink> sink_;  // last: it uses the above
};

}  // namespace kvcast::tools
