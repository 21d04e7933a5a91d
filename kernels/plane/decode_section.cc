#include <cstring>
#include <stdexcept>
#include <string>

#include "kernels/plane.h"
#include "kernels/plane/channel_store.h"
#include "kernels/plane/lockstep_decoder.h"
#include "kernels/plane/section_planes.h"
#include "kernels/plane/sequential_decoder.h"
#include "kernels/plane/tables.h"
#include "kernels/plane/uninitialised.h"

namespace kvcast::kernels {
namespace {

using Planes = std::span<const std::span<const std::byte>>;

Check decode_values(const Codec& codec, const SectionShape& shape, Planes planes,
                    std::span<uint16_t> coefficients) {
  const auto section = read_planes(shape, codec.tables().classes.size(), planes);
  if (!section) return section.fault();
  return codec.tables().vectors ? decode_in_lockstep(codec, shape, *section, coefficients)
                                : decode_sequentially(codec, shape, *section, coefficients);
}

size_t coefficient_count(const SectionShape& shape) {
  return size_t{shape.coded_tokens} * shape.coefficients;
}

}  // namespace

Check decode_coefficients(const Codec& codec, uint32_t group, Side side, TokenRange tokens,
                          Planes planes, std::span<uint16_t> coefficients) {
  const auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (!shape) return shape.fault();
  if (coefficients.size() != coefficient_count(*shape))
    throw std::invalid_argument("not one element for each coefficient");
  return decode_values(codec, *shape, planes, coefficients);
}

Checked<std::vector<uint16_t>> decode_coefficients(const Codec& codec, uint32_t group, Side side,
                                                   TokenRange tokens, Planes planes) {
  const auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (!shape) return shape.fault();
  std::vector<uint16_t> coefficients(coefficient_count(*shape));
  if (Check check = decode_values(codec, *shape, planes, coefficients); !check)
    return check.fault();
  return coefficients;
}

Check decode_section(const Codec& codec, uint32_t group, Side side, TokenRange tokens, DType dtype,
                     Planes planes, std::span<const std::byte> sinks,
                     std::span<const MutableTensorView> layers) {
  const auto shape = shape_of_section(codec.profile(), group, side, tokens);
  if (!shape) return shape.fault();
  if (shape->layers.layers != layers.size())
    throw std::invalid_argument("not one view for each layer");
  const size_t row_bytes = shape->channels * dtype_bytes(dtype);
  const size_t sink_bytes = row_bytes * shape->sinks * layers.size();
  if (sinks.size() != sink_bytes) {
    return Fault{"sink section of " + std::to_string(sinks.size()) + " bytes, expected " +
                 std::to_string(sink_bytes)};
  }
  UninitialisedVector<uint16_t> coefficients(coefficient_count(*shape));
  if (Check check = decode_values(codec, *shape, planes, coefficients); !check) return check;
  store_coefficients(*codec.tables().channels, *shape, coefficients, dtype, layers);
  for (const MutableTensorView& layer : layers) {
    for (uint32_t token = 0; token < shape->sinks && row_bytes > 0; ++token) {
      std::memcpy(layer.data + token * layer.token_stride_bytes, sinks.data(), row_bytes);
      sinks = sinks.subspan(row_bytes);
    }
  }
  return {};
}

}  // namespace kvcast::kernels
