#include "tools/eval/section_trip.h"

namespace kvcast::eval {

using kernels::DType;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

std::vector<kernels::TensorView> views_of(const engine::KvCache& cache,
                                          const kernels::LayerGroup& group, Side side) {
  std::vector<kernels::TensorView> views;
  for (uint32_t i = 0; i < group.layers; ++i) {
    views.push_back({reinterpret_cast<const std::byte*>(cache.row(group.first_layer + i, side, 0)),
                     cache.channels() * sizeof(float)});
  }
  return views;
}

Result<kernels::EncodedSection> encode_cache_section(const kernels::Codec& codec, uint32_t group,
                                                     Side side, const engine::KvCache& cache,
                                                     uint32_t tokens) {
  auto encoded = kernels::encode_section(codec, group, side, {0, tokens}, DType::kF32,
                                         views_of(cache, codec.profile().groups[group], side));
  if (!encoded.ok()) return Error{ErrorKind::kCorrupt, encoded.fault().what};
  return std::move(*encoded);
}

Status decode_cache_section(const kernels::Codec& codec, uint32_t group, Side side,
                            const kernels::EncodedSection& encoded, uint32_t level, uint32_t tokens,
                            engine::KvCache& to) {
  const kernels::LayerGroup& layers = codec.profile().groups[group];
  const auto before = views_of(to, layers, side);
  const auto sinks =
      kernels::encode_sinks(codec.profile(), group, side, {0, tokens}, DType::kF32, before);
  std::vector<kernels::MutableTensorView> views;
  for (uint32_t i = 0; i < layers.layers; ++i) {
    views.push_back({reinterpret_cast<std::byte*>(to.row(layers.first_layer + i, side, 0)),
                     to.channels() * sizeof(float)});
  }
  const std::vector<std::span<const std::byte>> planes(encoded.planes.begin(),
                                                       encoded.planes.begin() + level + 1);
  const auto decoded =
      kernels::decode_section(codec, group, side, {0, tokens}, DType::kF32, planes, sinks, views);
  if (!decoded) return Error{ErrorKind::kCorrupt, decoded.fault().what};
  return {};
}

}  // namespace kvcast::eval
