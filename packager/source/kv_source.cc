#include "packager/source/kv_source.h"

#include <fmt/format.h>

#include <utility>

#include "packager/rope.h"

namespace kvcast::packager {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::Status;

std::string tensor_name(uint32_t layer, Side side) {
  return side == Side::kKey ? manifests::key_tensor_name(layer)
                            : manifests::value_tensor_name(layer);
}

}  // namespace

KvSource::KvSource(manifests::SafetensorsFile file, manifests::KvFileInfo info)
    : file_(std::move(file)), info_(std::move(info)) {}

Result<KvSource> KvSource::open(const std::string& path) {
  auto file = manifests::SafetensorsFile::open(path);
  if (!file.ok()) return file.error();
  auto info = manifests::describe_kv_file(*file);
  if (!info.ok()) return info.error();
  KvSource source(std::move(*file), std::move(*info));
  if (Status shape = source.load_shape(); !shape.ok()) return shape.error();
  if (Status rope = source.load_ropes(); !rope.ok()) return rope.error();
  return source;
}

Status KvSource::load_shape() {
  const manifests::ModelIdentity& model = info_.model;
  geometry_ = {model.layers, model.key_heads, model.key_dim, model.value_heads, model.value_dim};
  dtype_ = *kernels::dtype_from_name(model.dtype);  // judged by describe_kv_file
  if (info_.tokens == 0) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: no tokens, nothing to package", path())};
  }
  const auto too_large = [](uint64_t heads, uint64_t dim) {
    return heads > kernels::kMaxChannels || dim > kernels::kMaxChannels ||
           heads * dim > kernels::kMaxChannels;
  };
  if (model.layers > kernels::kMaxLayers || too_large(model.key_heads, model.key_dim) ||
      too_large(model.value_heads, model.value_dim)) {
    return Error{
        ErrorKind::kCorrupt,
        fmt::format("{}: {} layers of {}x{} keys and {}x{} values; at most {} layers and {} "
                    "channels a layer are supported",
                    path(), model.layers, model.key_heads, model.key_dim, model.value_heads,
                    model.value_dim, kernels::kMaxLayers, kernels::kMaxChannels)};
  }
  return {};
}

Status KvSource::load_ropes() {
  layer_rope_.assign(geometry_.layers, kernels::kNoRope);
  for (const manifests::StatedRope& stated : info_.ropes) {
    auto rope = kernel_rope(stated, path() + ": metadata rope");
    if (!rope.ok()) return rope.error();
    const auto index = static_cast<uint8_t>(ropes_.size());
    ropes_.push_back(std::move(*rope));
    if (stated.layers.empty()) layer_rope_.assign(geometry_.layers, index);
    for (const uint32_t layer : stated.layers) layer_rope_[layer] = index;
  }
  return {};
}

uint64_t KvSource::layer_bytes(Side side, uint32_t tokens) const {
  return uint64_t{tokens} * geometry_.channels(side) * kernels::dtype_bytes(dtype_);
}

Status KvSource::read(uint32_t layer, Side side, kernels::TokenRange tokens,
                      std::span<std::byte> to) const {
  if (geometry_.channels(side) == 0) return {};  // a latent cache's values: there is no tensor
  auto tensor = file_.tensor(tensor_name(layer, side));
  if (!tensor.ok()) return tensor.error();
  return file_.read(*tensor, tokens.begin * layer_bytes(side, 1), to);
}

std::string KvSource::place(uint32_t layer, Side side, kernels::TokenRange tokens,
                            uint64_t element) const {
  const uint32_t channels = geometry_.channels(side), dim = geometry_.dim(side);
  const uint64_t channel = element % channels;
  return fmt::format("{}: tensor {}[token {}, head {}, dim {}]", path(), tensor_name(layer, side),
                     tokens.begin + element / channels, channel / dim, channel % dim);
}

}  // namespace kvcast::packager
