#include "kernels/transform/transform.h"

#include <algorithm>

namespace kvcast::kernels {
namespace {

constexpr size_t kIdentityStep = 128;  // channels

}  // namespace

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

InverseTransform::InverseTransform(const SectionCodec& codec, const InverseKernels& kernels,
                                   std::span<const std::vector<float>> bases)
    : codec_(codec),
      kernels_(kernels),
      bases_(bases),
      coefficients_(codec.order.size() * kColumnTokens),
      components_(codec.order.size()),
      channels_(codec.mean.size() * kColumnTokens) {
  for (size_t p = 0; p < codec.order.size(); ++p)
    components_[codec.order[p]] = coefficients_.data() + p * kColumnTokens;
  size_t largest_rank = 0;
  for (const TransformBlock& block : codec.blocks)
    largest_rank = std::max<size_t>(largest_rank, block.rank);
  scratch_.resize(scratch_size(largest_rank));
}

void InverseTransform::begin() {
  computed_ = block_ = component_ = 0;
}

size_t InverseTransform::advance() {
  const float* const scale = codec_.scale.data() + computed_;
  const float* const mean = codec_.mean.data() + computed_;
  float* const out = channels_.data() + computed_ * kColumnTokens;
  if (codec_.blocks.empty()) {
    const size_t count = std::min(kIdentityStep, codec_.mean.size() - computed_);
    kernels_.scale_and_shift(components_.data() + computed_, count, scale, mean, out);
    return computed_ += count;
  }
  const TransformBlock& block = codec_.blocks[block_];
  kernels_.product(bases_[block_].data(), block.rank, block.width, components_.data() + component_,
                   scale, mean, scratch_.data(), out);
  component_ += block.rank;
  ++block_;
  return computed_ += block.width;
}

}  // namespace kvcast::kernels
