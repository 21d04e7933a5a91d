#include "player/c_api/callback_sink.h"

#include <fmt/format.h>

#include <span>

#include "player/c_api/shape.h"

namespace kvcast::player {
namespace {

using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;

const char* side_name(Side side) {
  return side == Side::kKey ? "keys" : "values";
}

Error refused(const char* callback, const std::string& what, int32_t code) {
  return Error{ErrorKind::kUsage,
               fmt::format("the sink's {} callback refused {} with code {}; see its own log",
                           callback, what, code)};
}

}  // namespace

manifests::Status CallbackSink::prepare(const KvShape& shape, const manifests::KvFileInfo& about) {
  geometry_ = shape.geometry;
  if (table_.destination == nullptr) {
    if (auto held = HostKvSink::prepare(shape, about); !held) return held;
  }
  if (table_.prepare == nullptr) return {};
  const kvcast_shape told = shape_for_c(shape, about.model.name);
  const int32_t code = table_.prepare(table_.context, &told);
  if (code != 0) return refused("prepare", "the cache's shape", code);
  return {};
}

manifests::Result<kernels::MutableTensorView> CallbackSink::destination(uint32_t layer, Side side) {
  if (table_.destination == nullptr) return HostKvSink::destination(layer, side);
  kvcast_tensor tensor{};
  const int32_t code =
      table_.destination(table_.context, layer, static_cast<uint32_t>(side), &tensor);
  // A side of width 0 needs no memory.
  if (code == 0 && (tensor.data != nullptr || geometry_.channels(side) == 0)) {
    return kernels::MutableTensorView{static_cast<std::byte*>(tensor.data),
                                      tensor.token_stride_bytes};
  }
  return refused("destination", fmt::format("the {} of layer {}", side_name(side), layer), code);
}

void CallbackSink::tokens_known(std::span<const uint32_t> ids) {
  if (table_.tokens_known != nullptr) table_.tokens_known(table_.context, ids.data(), ids.size());
}

void CallbackSink::chunk_ready(uint64_t token_begin, uint64_t token_end) {
  if (table_.chunk_ready != nullptr) table_.chunk_ready(table_.context, token_begin, token_end);
}

void CallbackSink::layer_ready(uint32_t layer) {
  if (table_.destination == nullptr) {
    write(layer, Side::kKey);
    write(layer, Side::kValue);
  }
  if (!refusal_ && table_.layer_ready != nullptr) table_.layer_ready(table_.context, layer);
}

void CallbackSink::write(uint32_t layer, Side side) {
  const std::span<const std::byte> bytes = tensor(layer, side);
  if (refusal_ || bytes.empty()) return;
  const int32_t code =
      table_.write(table_.context, layer, static_cast<uint32_t>(side), bytes.data(), bytes.size());
  if (code == 0) return;
  refusal_ = refused("write", fmt::format("the {} of layer {}", side_name(side), layer), code);
  stop_.request_stop();
}

}  // namespace kvcast::player
