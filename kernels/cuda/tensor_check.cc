#include "kernels/cuda/tensor_check.h"

#include <algorithm>
#include <string>

namespace kvcast::kernels {
namespace {

constexpr uint64_t kMaxSlots = uint64_t{1} << 31;  // kernels count them in 32 bits

uintptr_t address(const std::byte* data) {
  return reinterpret_cast<uintptr_t>(data);
}

// Takes `count` strides off `left`; false where it is less.
bool take(uint64_t& left, uint64_t count, uint64_t stride) {
  if (count == 0) return true;
  if (stride > left / count) return false;
  left -= count * stride;
  return true;
}

Fault too_small(const DeviceTensor& tensor, const std::string& what) {
  return Fault{"the tensor of " + std::to_string(tensor.size_bytes) + " bytes ends before " + what};
}

Check check_alignment(const DeviceTensor& tensor, uint64_t element) {
  const DeviceLayout& layout = tensor.layout;
  for (const uint64_t stride : {layout.block_bytes, layout.token_bytes, layout.head_bytes}) {
    if (stride % element != 0)
      return Fault{"a stride of the tensor is no multiple of its elements' " +
                   std::to_string(element) + " bytes"};
  }
  for (const std::byte* const layer : tensor.layers_dev) {
    if (layer == nullptr || address(layer) % element != 0)
      return Fault{"a layer's device address is null or misaligned"};
  }
  return {};
}

// `left`: of the tensor, beside one slot of all heads.
Check check_blocks(const DeviceTensor& tensor, uint64_t left, uint64_t end_slot) {
  const DeviceLayout& layout = tensor.layout;
  if (!take(left, layout.block_tokens - 1, layout.token_bytes))
    return too_small(tensor, "its first block does");
  const uint64_t first = tensor.first_slot / layout.block_tokens;
  const uint64_t end = (end_slot + layout.block_tokens - 1) / layout.block_tokens;
  if (end > tensor.block_table.size()) {
    return Fault{"a block table of " + std::to_string(tensor.block_table.size()) +
                 " entries, but the chunk needs " + std::to_string(end)};
  }
  for (uint64_t i = first; i < end; ++i) {
    uint64_t beside = left;
    const int32_t block = tensor.block_table[i];
    if (block < 0 || !take(beside, static_cast<uint64_t>(block), layout.block_bytes)) {
      return Fault{"physical block " + std::to_string(block) + " is outside the tensor of " +
                   std::to_string(tensor.size_bytes) + " bytes"};
    }
  }
  return {};
}

}  // namespace

Check check_tensor(const DeviceTensor& tensor, uint32_t layers, uint32_t heads, uint32_t dim,
                   uint32_t count, DType dtype) {
  if (tensor.layers_dev.size() != layers) {
    return Fault{std::to_string(tensor.layers_dev.size()) + " device addresses for " +
                 std::to_string(layers) + " layers"};
  }
  if (tensor.first_slot > kMaxSlots || count > kMaxSlots - tensor.first_slot)
    return Fault{"token slots beyond 2^31"};
  if (count == 0 || heads == 0 || dim == 0) return {};
  if (Check check = check_alignment(tensor, dtype_bytes(dtype)); !check) return check;
  uint64_t left = tensor.size_bytes;
  if (!take(left, dim, dtype_bytes(dtype)) || !take(left, heads - 1, tensor.layout.head_bytes))
    return too_small(tensor, "its first token does");
  const uint64_t end_slot = tensor.first_slot + count;
  if (tensor.layout.block_tokens > 0) return check_blocks(tensor, left, end_slot);
  if (!take(left, end_slot - 1, tensor.layout.token_bytes))
    return too_small(tensor, "token slot " + std::to_string(end_slot - 1));
  return {};
}

bool is_aligned(const DeviceTensor& tensor) {
  const DeviceLayout& layout = tensor.layout;
  return (layout.block_bytes | layout.token_bytes | layout.head_bytes) % 16 == 0 &&
         std::all_of(tensor.layers_dev.begin(), tensor.layers_dev.end(),
                     [](const std::byte* layer) { return address(layer) % 16 == 0; });
}

}  // namespace kvcast::kernels
