#include "kernels/cuda/tensor_tasks.h"

#include "kernels/cuda/image.h"
#include "kernels/cuda/tensor_check.h"
#include "kernels/device_profile.h"

namespace kvcast::kernels {
namespace {

constexpr uint64_t kMaxPosition = uint64_t{1} << (kRopeParts * kRopeDigitBits);

}  // namespace

uint64_t ScratchLayout::reserve(uint64_t bytes) {
  const uint64_t offset = bytes_;
  bytes_ += (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
  return offset;
}

uint64_t TensorTasks::rope_table(const SectionShape& shape, uint8_t rope, ScratchLayout& scratch) {
  const uint64_t first = shape.tokens.begin + shape.sinks;
  const auto [at, is_new] = rope_tables_.try_emplace({rope, first, shape.coded_tokens});
  if (!is_new) return at->second;
  const size_t pairs = profile_.ropes[rope].inv_freq.size();
  at->second = scratch.reserve(uint64_t{shape.coded_tokens} * pairs * 2 * sizeof(float));
  ropes_.push_back({first, at->second, rope, shape.coded_tokens});
  return at->second;
}

// Of the blocks that the chunk needs.
uint64_t TensorTasks::block_table(const DeviceTensor& tensor, uint32_t tokens,
                                  ImageWriter& descriptors, DecodeSection& task) {
  const uint32_t block_tokens = tensor.layout.block_tokens;
  task.first_slot = static_cast<uint32_t>(tensor.first_slot);
  if (block_tokens == 0 || tokens == 0) return 0;
  const uint64_t first = tensor.first_slot / block_tokens;
  const uint64_t end = (tensor.first_slot + tokens + block_tokens - 1) / block_tokens;
  task.first_slot -= static_cast<uint32_t>(first * block_tokens);
  const auto [at, is_new] = block_tables_.try_emplace({tensor.block_table.data(), first, end});
  if (is_new) at->second = descriptors.put(tensor.block_table.subspan(first, end - first));
  return at->second;
}

Check TensorTasks::add(const DeviceTensor& tensor, const SectionShape& shape,
                       ImageWriter& descriptors, ScratchLayout& scratch, DecodeSection& task) {
  const Geometry& geometry = profile_.geometry;
  const uint32_t heads = geometry.heads(shape.side), dim = geometry.dim(shape.side);
  if (shape.tokens.begin > kMaxPosition || shape.tokens.count > kMaxPosition - shape.tokens.begin)
    return Fault{"tokens beyond position 2^30"};
  if (Check check =
          check_tensor(tensor, shape.layers.layers, heads, dim, shape.tokens.count, dtype_);
      !check) {
    return check;
  }
  task.block_tokens = tensor.layout.block_tokens;
  task.block_bytes = tensor.layout.block_bytes;
  task.token_bytes = tensor.layout.token_bytes;
  task.head_bytes = tensor.layout.head_bytes;
  task.aligned = is_aligned(tensor);
  task.block_table = block_table(tensor, shape.tokens.count, descriptors, task);
  std::vector<LayerTask> layers;
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    const uint8_t rope = profile_.layer_rope[shape.layers.first_layer + layer];
    const bool turns = shape.side == Side::kKey && rope != kNoRope;
    layers.push_back({reinterpret_cast<uint64_t>(tensor.layers_dev[layer]),
                      turns ? rope_table(shape, rope, scratch) : 0, turns ? rope : kNone, 0});
  }
  task.layers = descriptors.put(layers);
  return {};
}

}  // namespace kvcast::kernels
