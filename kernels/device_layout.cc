#include "kernels/device_layout.h"

namespace kvcast::kernels {

DeviceLayout DeviceLayout::contiguous(uint32_t heads, uint32_t dim, DType dtype) {
  const uint64_t head = uint64_t{dim} * dtype_bytes(dtype);
  return {0, 0, heads * head, head};
}

DeviceLayout DeviceLayout::paged(uint32_t block_tokens, uint32_t heads, uint32_t dim, DType dtype) {
  const uint64_t head = uint64_t{dim} * dtype_bytes(dtype), token = heads * head;
  return {block_tokens, block_tokens * token, token, head};
}

DeviceLayout DeviceLayout::packed(uint32_t block_tokens, uint32_t heads, uint32_t dim,
                                  DType dtype) {
  const uint64_t token = 2 * uint64_t{dim} * dtype_bytes(dtype), head = block_tokens * token;
  return {block_tokens, heads * head, token, head};
}

DeviceLayout DeviceLayout::across_layers(uint32_t layers) const {
  DeviceLayout all = *this;
  all.block_bytes *= layers;
  return all;
}

}  // namespace kvcast::kernels
