#include <fmt/format.h>

#include "manifests/safetensors_writer.h"
#include "player/sink.h"

namespace kvcast::player {

manifests::Status SafetensorsKvSink::write() const {
  using kernels::Side;
  const kernels::Geometry& geometry = shape().geometry;
  std::vector<manifests::TensorPlan> plans;
  std::vector<std::span<const std::byte>> tensors;
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (geometry.channels(side) == 0) continue;
      plans.push_back({side == Side::kKey ? manifests::key_tensor_name(layer)
                                          : manifests::value_tensor_name(layer),
                       kernels::dtype_name(shape().dtype),
                       {shape().tokens, geometry.heads(side), geometry.dim(side)}});
      tensors.push_back(tensor(layer, side));
    }
  }
  auto writer =
      manifests::SafetensorsWriter::create(path_, manifests::kv_file_metadata(about()), plans);
  if (!writer) return writer.error();
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (auto written = writer->write(i, 0, tensors[i]); !written) return written;
  }
  return writer->commit();
}

}  // namespace kvcast::player
