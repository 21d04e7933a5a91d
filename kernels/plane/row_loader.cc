#include "kernels/plane/row_loader.h"

#include <algorithm>

namespace kvcast::kernels {
namespace {

bool turns(const SectionShape& shape) {
  bool turned = false;
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer)
    turned |= shape.rope(layer) != kNoRope;
  return shape.side == Side::kKey && turned;
}

bool moves(const SectionShape& shape) {
  const std::vector<uint32_t>& order = shape.codec->order;
  return !shape.codec->blocks.empty() || order.size() != shape.width ||
         !std::is_sorted(order.begin(), order.end());
}

}  // namespace

std::optional<RowLoader> RowLoader::of(const QuantisingKernels& kernels, const SectionShape& shape,
                                       DType dtype, std::span<const TensorView> layers) {
  const bool whole_groups = shape.channels % kLanes == 0;
  if (dtype != DType::kBf16 || !whole_groups || turns(shape) || moves(shape)) return std::nullopt;
  return RowLoader(kernels, shape, layers);
}

bool RowLoader::load(const GroupRange& range, std::span<float> all) const {
  bool finite = true;
  for (uint32_t g = 0; g < range.groups; ++g) {
    const uint32_t channel = (range.first_group + g) * kLanes;
    const TensorView& view = layers_[channel / shape_->channels];
    finite &= kernels_->load_bf16_rows(view.data + shape_->sinks * view.token_stride_bytes +
                                           channel % shape_->channels * dtype_bytes(DType::kBf16),
                                       view.token_stride_bytes, shape_->coded_tokens,
                                       shape_->codec->mean.data() + channel,
                                       shape_->codec->scale.data() + channel,
                                       all.data() + size_t{g} * kLanes * shape_->coded_tokens);
  }
  return finite;
}

}  // namespace kvcast::kernels
