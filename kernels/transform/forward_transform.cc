#include "kernels/transform/forward_transform.h"

namespace kvcast::kernels {

ForwardTransform::ForwardTransform(const SectionCodec& codec, const ColumnKernels& kernels,
                                   std::span<const std::vector<float>> bases)
    : codec_(codec),
      kernels_(kernels),
      bases_(bases),
      channels_(codec.mean.size() * kColumnTokens) {
  if (!codec.blocks.empty()) components_.resize(codec.order.size() * kColumnTokens);
  const float* const components = codec.blocks.empty() ? channels_.data() : components_.data();
  for (const uint32_t component : codec.order)
    coded_.push_back(components + component * kColumnTokens);
}

std::span<float> ForwardTransform::channels() {
  return channels_;
}

void ForwardTransform::normalise(size_t first, size_t count) {
  kernels_.normalise(codec_.mean.data() + first, codec_.scale.data() + first, count,
                     channels_.data() + first * kColumnTokens);
}

void ForwardTransform::run() {
  float* to = components_.data();
  for (size_t b = 0; b < codec_.blocks.size(); ++b) {
    const TransformBlock& block = codec_.blocks[b];
    kernels_.multiply(bases_[b].data(), block.rank, block.width,
                      channels_.data() + block.first_channel * kColumnTokens, to);
    to += block.rank * kColumnTokens;
  }
}

std::span<const float* const> ForwardTransform::coefficients() const {
  return coded_;
}

}  // namespace kvcast::kernels
