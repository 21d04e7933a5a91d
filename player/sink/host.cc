#include <fmt/format.h>

#include "player/sink.h"

namespace kvcast::player {
namespace {

constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 40;

size_t index_of(uint32_t layer, kernels::Side side) {
  return 2 * size_t{layer} + static_cast<size_t>(side);
}

}  // namespace

manifests::Status HostKvSink::prepare(const KvShape& shape, const manifests::KvFileInfo& about) {
  std::vector<std::unique_ptr<std::byte[]>> tensors;
  for (uint32_t i = 0; i < 2 * shape.geometry.layers; ++i) {
    const auto side = i % 2 == 0 ? kernels::Side::kKey : kernels::Side::kValue;
    const uint64_t token_bytes =
        uint64_t{shape.geometry.channels(side)} * kernels::dtype_bytes(shape.dtype);
    if (token_bytes > 0 && shape.tokens > kMaxTensorBytes / token_bytes) {
      return manifests::Error{manifests::ErrorKind::kUsage,
                              fmt::format("a KV cache of {} tokens and {} bytes a token and layer "
                                          "does not fit in host memory",
                                          shape.tokens, token_bytes)};
    }
    tensors.push_back(std::make_unique_for_overwrite<std::byte[]>(shape.tokens * token_bytes));
  }
  shape_ = shape;
  about_ = about;
  tensors_ = std::move(tensors);
  return {};
}

manifests::Result<kernels::MutableTensorView> HostKvSink::destination(uint32_t layer,
                                                                      kernels::Side side) {
  if (layer >= shape_.geometry.layers) {
    return manifests::Error{
        manifests::ErrorKind::kUsage,
        fmt::format("the sink has {} layers, and no layer {}", shape_.geometry.layers, layer)};
  }
  const kernels::TensorView view = this->view(layer, side);
  return kernels::MutableTensorView{tensors_[index_of(layer, side)].get(), view.token_stride_bytes};
}

std::span<const std::byte> HostKvSink::tensor(uint32_t layer, kernels::Side side) const {
  const kernels::TensorView from = view(layer, side);
  return {from.data, shape_.tokens * from.token_stride_bytes};
}

kernels::TensorView HostKvSink::view(uint32_t layer, kernels::Side side) const {
  return {tensors_[index_of(layer, side)].get(),
          size_t{shape_.geometry.channels(side)} * kernels::dtype_bytes(shape_.dtype)};
}

}  // namespace kvcast::player
