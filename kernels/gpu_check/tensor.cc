#include "kernels/gpu_check/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/entropy/random_table.h"

namespace kvcast::kernels::gpu_check {

const char* tensor_shape_name(TensorShape shape) {
  switch (shape) {
    case TensorShape::kContiguous:
      return "contiguous";
    case TensorShape::kPaged:
      return "paged";
    case TensorShape::kPacked:
      return "packed";
    case TensorShape::kAcrossLayers:
      return "across layers";
  }
  return "unknown";
}

TestTensor::TestTensor(TensorShape shape, const RandomSection& section, std::mt19937& random) {
  const uint32_t heads = section.profile.geometry.heads(section.side);
  const uint32_t dim = section.profile.geometry.dim(section.side);
  layers_ = section.profile.groups[0].layers;
  first_slot_ = below(random, 70);
  const uint64_t slots = first_slot_ + section.tokens.count;
  if (shape == TensorShape::kContiguous) {
    layout_ = DeviceLayout::contiguous(heads, dim, section.dtype);
    layer_step_ = (slots + 1) * layout_.token_bytes;
    bytes_ = layers_ * layer_step_;
    return;
  }
  const uint32_t block_tokens = 4u << below(random, 4);
  const uint64_t blocks = (slots + block_tokens - 1) / block_tokens + 2;
  blocks_.resize(blocks);
  std::iota(blocks_.begin(), blocks_.end(), 0);
  std::shuffle(blocks_.begin(), blocks_.end(), random);
  if (shape == TensorShape::kPacked) {
    layout_ = DeviceLayout::packed(block_tokens, heads, dim, section.dtype);
    side_ = section.side == Side::kValue ? dim * dtype_bytes(section.dtype) : 0;
  } else {
    layout_ = DeviceLayout::paged(block_tokens, heads, dim, section.dtype);
  }
  layer_step_ = blocks * layout_.block_bytes;
  bytes_ = layers_ * layer_step_;
  if (shape == TensorShape::kAcrossLayers) {
    layer_step_ = layout_.block_bytes;
    layout_ = layout_.across_layers(layers_);
  }
}

std::vector<std::byte*> TestTensor::layers(std::byte* base_dev) const {
  std::vector<std::byte*> layers;
  for (uint32_t l = 0; l < layers_; ++l) layers.push_back(base_dev + side_ + l * layer_step_);
  return layers;
}

DeviceTensor TestTensor::destination(const std::vector<std::byte*>& layers) const {
  DeviceTensor tensor;
  tensor.layers_dev = layers;
  tensor.size_bytes = bytes_ - side_ - (layers_ - 1) * layer_step_;
  tensor.layout = layout_;
  tensor.block_table = blocks_;
  tensor.first_slot = first_slot_;
  return tensor;
}

uint64_t TestTensor::offset(uint32_t layer, uint64_t slot, uint32_t head) const {
  uint64_t at = side_ + layer * layer_step_ + head * layout_.head_bytes;
  if (layout_.block_tokens == 0) return at + slot * layout_.token_bytes;
  at += static_cast<uint64_t>(blocks_[slot / layout_.block_tokens]) * layout_.block_bytes;
  return at + slot % layout_.block_tokens * layout_.token_bytes;
}

uint64_t TestTensor::compare(std::vector<std::byte> got, const RandomSection& section,
                             const Destination& expected, std::string& wrong) const {
  const uint32_t heads = section.profile.geometry.heads(section.side);
  const uint32_t dim = section.profile.geometry.dim(section.side);
  const float place = last_place(section.dtype);
  uint64_t differ = 0;
  std::vector<float> head(dim);
  for (uint32_t layer = 0; layer < layers_; ++layer) {
    for (uint32_t t = 0; t < section.tokens.count; ++t) {
      const std::vector<float> row = expected.row(layer, t);
      float largest = 0;
      for (const float x : row) largest = std::max(largest, std::abs(x));
      for (uint32_t h = 0; h < heads; ++h) {
        std::byte* at = got.data() + offset(layer, first_slot_ + t, h);
        load_f32(section.dtype, at, head);
        std::memset(at, kUntouched, dim * dtype_bytes(section.dtype));
        for (uint32_t d = 0; d < dim; ++d) {
          const float want = row[h * dim + d];
          differ += head[d] != want;
          if (std::abs(head[d] - want) <= place * std::abs(want) + largest * 4e-6f) continue;
          wrong = "layer " + std::to_string(layer) + ", token " + std::to_string(t) + ", channel " +
                  std::to_string(h * dim + d) + " is " + std::to_string(head[d]) + ", not " +
                  std::to_string(want);
          return differ;
        }
      }
    }
  }
  const auto touched =
      std::find_if(got.begin(), got.end(), [](std::byte b) { return b != std::byte{kUntouched}; });
  if (touched != got.end()) {
    wrong = "byte " + std::to_string(touched - got.begin()) + " of the tensor was written";
  }
  return differ;
}

}  // namespace kvcast::kernels::gpu_check
