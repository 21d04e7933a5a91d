#include <cstring>
#include <stdexcept>

#include "kernels/plane.h"

namespace kvcast::kernels {

std::vector<std::byte> encode_sinks(const Profile& profile, uint32_t group, Side side,
                                    TokenRange tokens, DType dtype,
                                    std::span<const TensorView> layers) {
  if (layers.size() != profile.groups.at(group).layers)
    throw std::invalid_argument("not one view for each layer");
  const size_t row_bytes = profile.geometry.channels(side) * dtype_bytes(dtype);
  const uint32_t sinks = profile.sinks_in(tokens);
  std::vector<std::byte> bytes;
  for (const TensorView& layer : layers) {
    for (uint32_t token = 0; token < sinks; ++token) {
      const std::byte* row = layer.data + token * layer.token_stride_bytes;
      bytes.insert(bytes.end(), row, row + row_bytes);
    }
  }
  return bytes;
}

}  // namespace kvcast::kernels
