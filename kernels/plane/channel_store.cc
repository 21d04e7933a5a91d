#include "kernels/plane/channel_store.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "kernels/plane/row_ropes.h"
#include "kernels/transform/inverse_transform.h"

namespace kvcast::kernels {
namespace {

// Writes run after run of tokens of a section.
class Storer {
 public:
  Storer(const ChannelKernels& kernels, const SectionShape& shape, DType dtype,
         std::span<const MutableTensorView> layers)
      : kernels_(*kernels.transform->finish),
        shape_(shape),
        dtype_(dtype),
        layers_(layers),
        dim_(shape.profile->geometry.dim(shape.side)),
        ropes_(shape, kernels.ropes),
        transform_(*shape.codec, dim_, *kernels.transform, kernels.packed_bases.of(*shape.codec)) {}

  void store(std::span<const uint16_t> coefficients) {
    const auto most = static_cast<uint32_t>(transform_.tokens_at_a_time());
    for (uint32_t first = 0; first < shape_.coded_tokens; first += most) {
      const uint32_t count = std::min(most, shape_.coded_tokens - first);
      const uint32_t token = shape_.sinks + first;
      ropes_.move_to(token, count);
      transform_.run(coefficients.data() + size_t{first} * shape_.coefficients, count,
                     [&](const ChannelSums& sums) { store_layers(token, sums); });
    }
  }

 private:
  void store_layers(uint32_t token, const ChannelSums& sums) {
    const size_t end = sums.first_channel + sums.channels;
    for (size_t channel = sums.first_channel; channel < end;) {
      const size_t layer = channel / shape_.channels;
      const size_t channels = std::min(end, (layer + 1) * shape_.channels) - channel;
      store_heads(token, sums, layer, channel, channels);
      channel += channels;
    }
  }

  // Heads of one layer.
  void store_heads(uint32_t token, const ChannelSums& sums, size_t layer, size_t channel,
                   size_t channels) {
    const auto rotation = ropes_.rotation(static_cast<uint32_t>(layer), sums.first_token);
    const MutableTensorView& view = layers_[layer];
    HeadRows rows{sums.u + (channel - sums.first_channel),
                  sums.stride,
                  sums.tokens,
                  channels / dim_,
                  dim_,
                  shape_.codec->scale.data() + channel,
                  shape_.codec->mean.data() + channel,
                  rotation ? &*rotation : nullptr,
                  view.data + (token + sums.first_token) * view.token_stride_bytes +
                      channel % shape_.channels * dtype_bytes(dtype_),
                  view.token_stride_bytes};
    switch (dtype_) {
      case DType::kBf16:
        return kernels_.to_bf16(rows);
      case DType::kF16:
        return kernels_.to_f16(rows);
      case DType::kF32:
        return kernels_.to_f32(rows);
      case DType::kF8E4M3:
      case DType::kF8E5M2:
        return store_narrower(rows, channels);
    }
  }

  void store_narrower(HeadRows rows, size_t channels) {
    std::byte* const to = rows.to;
    const size_t to_stride = rows.to_stride;
    wide_.resize(rows.tokens * channels);
    rows.to = reinterpret_cast<std::byte*>(wide_.data());
    rows.to_stride = channels * sizeof(float);
    kernels_.to_f32(rows);
    for (size_t t = 0; t < rows.tokens; ++t)
      store_f32(dtype_, std::span(wide_).subspan(t * channels, channels), to + t * to_stride);
  }

  const FinishKernels& kernels_;
  const SectionShape& shape_;
  DType dtype_;
  std::span<const MutableTensorView> layers_;
  uint32_t dim_;
  RowRopes ropes_;
  InverseTransform transform_;
  std::vector<float> wide_;
};

}  // namespace

void store_coefficients(const ChannelKernels& kernels, const SectionShape& shape,
                        std::span<const uint16_t> coefficients, DType dtype,
                        std::span<const MutableTensorView> layers) {
  Storer(kernels, shape, dtype, layers).store(coefficients);
}

}  // namespace kvcast::kernels
