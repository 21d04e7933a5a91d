#include <fmt/format.h>

#include "player/device/memory.h"
#include "player/device/placing.h"
#include "player/device_sink.h"

namespace kvcast::player {

using kernels::Check;
using kernels::DeviceRuntime;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;

manifests::Status DeviceKvSink::prepare(const KvShape& shape, const manifests::KvFileInfo& about) {
  auto cache = cache_for(shape);
  if (!cache) return cache.error();
  if (manifests::Status fits = check_cache(*cache, shape); !fits) return fits;
  cache_ = std::move(*cache);
  shape_ = shape;
  about_ = about;
  return {};
}

manifests::Result<kernels::MutableTensorView> DeviceKvSink::destination(uint32_t /*layer*/,
                                                                        Side /*side*/) {
  return Error{ErrorKind::kUsage, "the sink keeps KV on a device, where the host cannot write"};
}

manifests::Status DeviceKvSink::read_back(HostKvSink& to) const {
  if (manifests::Status prepared = to.prepare(shape_, about_); !prepared) return prepared;
  DeviceRuntime& device = room_.device();
  const kernels::DeviceStream stream = DeviceRuntime::stream(room_.memory().placing);
  const kernels::TokenRange all{0, static_cast<uint32_t>(shape_.tokens)};
  Check check;
  for (uint32_t layer = 0; layer < shape_.geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const auto view = to.destination(layer, side);
      if (!view) return view.error();
      if (check) check = read_rows(device, cache_, shape_, layer, side, all, *view, stream);
    }
  }
  if (check) check = device.synchronise(stream);
  if (check) return {};
  return Error{ErrorKind::kIo,
               fmt::format("device {}: {}", device.info().name, check.fault().what)};
}

manifests::Status place_chunk(DeviceKvSink& sink, kernels::TokenRange tokens,
                              std::span<const kernels::TensorView> from) {
  DeviceRuntime& device = sink.room().device();
  const kernels::DeviceStream stream = DeviceRuntime::stream(sink.room().memory().placing);
  Check check;
  for (uint32_t i = 0; i < from.size() && check; ++i) {
    check = place_rows(device, sink.cache(), sink.shape(), i / 2, static_cast<Side>(i % 2), tokens,
                       from[i], stream);
  }
  const Check waited = device.synchronise(stream);
  if (check) check = waited;
  if (check) return {};
  return Error{ErrorKind::kIo,
               fmt::format("device {}: {}", device.info().name, check.fault().what)};
}

}  // namespace kvcast::player
