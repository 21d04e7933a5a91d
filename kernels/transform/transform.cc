#include "kernels/transform/transform.h"

#include <algorithm>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/transform/product.h"

namespace kvcast::kernels::transform {
namespace {

// The basis as fp32, [rank][width], or its transpose.
std::vector<float> dense(const TransformBlock& block, bool transposed) {
  std::vector<float> matrix(block.basis.size());
  for (size_t r = 0; r < block.rank; ++r) {
    for (size_t c = 0; c < block.width; ++c) {
      const size_t to = transposed ? c * block.rank + r : r * block.width + c;
      matrix[to] = bf16_to_f32(block.basis[r * block.width + c]);
    }
  }
  return matrix;
}

// Where each component is coded: the inverse of `order`.
std::vector<uint32_t> coded_positions(const SectionCodec& codec) {
  std::vector<uint32_t> position(codec.order.size());
  for (uint32_t p = 0; p < codec.order.size(); ++p) position[codec.order[p]] = p;
  return position;
}

void forward_identity(const SectionCodec& codec, std::span<const float> channels, uint32_t tokens,
                      std::span<float> coefficients) {
  const size_t width = codec.mean.size();
  std::vector<float> normalised(width);
  for (size_t t = 0; t < tokens; ++t) {
    const float* from = channels.data() + t * width;
    for (size_t c = 0; c < width; ++c) normalised[c] = (from[c] - codec.mean[c]) / codec.scale[c];
    for (size_t p = 0; p < width; ++p) coefficients[t * width + p] = normalised[codec.order[p]];
  }
}

void inverse_identity(const SectionCodec& codec, std::span<const uint16_t> coefficients,
                      uint32_t tokens, std::span<float> channels, const TransformKernels* kernels) {
  const size_t width = codec.mean.size();
  const bool in_order = std::is_sorted(codec.order.begin(), codec.order.end());
  if (kernels && in_order)
    return kernels->widen_bf16(coefficients.data(), tokens * width, channels.data());
  for (size_t t = 0; t < tokens; ++t) {
    float* to = channels.data() + t * width;
    for (size_t p = 0; p < width; ++p)
      to[codec.order[p]] = bf16_to_f32(coefficients[t * width + p]);
  }
}

void forward_block(const SectionCodec& codec, const TransformBlock& block,
                   std::span<const uint32_t> positions, std::span<const float> channels,
                   uint32_t tokens, std::span<float> coefficients) {
  const size_t width = codec.mean.size();
  const size_t coded = codec.order.size();
  const std::vector<float> matrix = dense(block, false);
  std::vector<float> in(block.width * kTileTokens);
  std::vector<float> out(block.rank * kTileTokens);
  for (size_t begin = 0; begin < tokens; begin += kTileTokens) {
    const size_t count = std::min<size_t>(kTileTokens, tokens - begin);
    for (size_t t = 0; t < count; ++t) {
      const float* from = channels.data() + (begin + t) * width;
      for (size_t i = 0; i < block.width; ++i) {
        const size_t c = block.first_channel + i;
        in[i * kTileTokens + t] = (from[c] - codec.mean[c]) / codec.scale[c];
      }
    }
    multiply_tile(matrix, block.rank, block.width, in, out);
    for (size_t t = 0; t < count; ++t) {
      float* to = coefficients.data() + (begin + t) * coded;
      for (size_t r = 0; r < block.rank; ++r) to[positions[r]] = out[r * kTileTokens + t];
    }
  }
}

void inverse_block(const SectionCodec& codec, const TransformBlock& block,
                   std::span<const uint32_t> positions, std::span<const uint16_t> coefficients,
                   uint32_t tokens, std::span<float> channels, const TransformKernels* kernels) {
  const size_t width = codec.mean.size();
  const size_t coded = codec.order.size();
  const std::vector<float> matrix = dense(block, true);
  std::vector<float> in(block.rank * kTileTokens);
  std::vector<float> out(block.width * kTileTokens);
  for (size_t begin = 0; begin < tokens; begin += kTileTokens) {
    const size_t count = std::min<size_t>(kTileTokens, tokens - begin);
    for (size_t t = 0; t < count; ++t) {
      const uint16_t* from = coefficients.data() + (begin + t) * coded;
      for (size_t r = 0; r < block.rank; ++r)
        in[r * kTileTokens + t] = bf16_to_f32(from[positions[r]]);
    }
    if (kernels) {
      kernels->multiply_tile(matrix.data(), block.width, block.rank, in.data(), out.data());
    } else {
      multiply_tile(matrix, block.width, block.rank, in, out);
    }
    for (size_t t = 0; t < count; ++t) {
      float* to = channels.data() + (begin + t) * width + block.first_channel;
      for (size_t i = 0; i < block.width; ++i) to[i] = out[i * kTileTokens + t];
    }
  }
}

void denormalise(const SectionCodec& codec, uint32_t tokens, std::span<float> channels,
                 const TransformKernels* kernels) {
  const size_t width = codec.mean.size();
  for (size_t t = 0; t < tokens; ++t) {
    float* x = channels.data() + t * width;
    if (kernels) {
      kernels->scale_and_shift(codec.scale.data(), codec.mean.data(), width, x);
      continue;
    }
    for (size_t c = 0; c < width; ++c) {
      x[c] = static_cast<float>(static_cast<double>(codec.scale[c]) * x[c] + codec.mean[c]);
    }
  }
}

}  // namespace

void forward(const SectionCodec& codec, std::span<const float> channels, uint32_t tokens,
             std::span<float> coefficients) {
  if (codec.blocks.empty()) return forward_identity(codec, channels, tokens, coefficients);
  const std::vector<uint32_t> positions = coded_positions(codec);
  size_t component = 0;
  for (const TransformBlock& block : codec.blocks) {
    const auto block_positions = std::span(positions).subspan(component, block.rank);
    forward_block(codec, block, block_positions, channels, tokens, coefficients);
    component += block.rank;
  }
}

void inverse(const SectionCodec& codec, std::span<const uint16_t> coefficients_bf16,
             uint32_t tokens, std::span<float> channels, const TransformKernels* kernels) {
  if (codec.blocks.empty()) {
    inverse_identity(codec, coefficients_bf16, tokens, channels, kernels);
  } else {
    const std::vector<uint32_t> positions = coded_positions(codec);
    size_t component = 0;
    for (const TransformBlock& block : codec.blocks) {
      const auto block_positions = std::span(positions).subspan(component, block.rank);
      inverse_block(codec, block, block_positions, coefficients_bf16, tokens, channels, kernels);
      component += block.rank;
    }
  }
  denormalise(codec, tokens, channels, kernels);
}

}  // namespace kvcast::kernels::transform
