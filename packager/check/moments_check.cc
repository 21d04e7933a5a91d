#include "packager/check/moments_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "packager/moments.h"

namespace kvcast::packager {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::SafetensorsFile;
using manifests::SafetensorsHeader;
using manifests::Status;

constexpr std::string_view kQuery = ".query_moment", kOutput = ".output_moment";

bool is_moment(std::string_view tensor) {
  return tensor.starts_with("layers.") && (tensor.ends_with(kQuery) || tensor.ends_with(kOutput));
}

Error fault(const SafetensorsFile& file, const std::string& what) {
  return {ErrorKind::kCorrupt, fmt::format("{}: {}", file.path(), what)};
}

// Heads and dim of a kind, from its first layer; 0 where the file has none of it. `layers` becomes
// the most that a kind has.
Status find_shape(const SafetensorsFile& file, std::string_view kind, uint32_t& heads,
                  uint32_t& dim, uint32_t& layers) {
  const auto& tensors = file.header().tensors;
  const auto count = std::count_if(tensors.begin(), tensors.end(), [&](const auto& tensor) {
    return tensor.first.ends_with(kind);
  });
  if (count == 0) return {};
  const auto first = file.tensor(fmt::format("layers.0{}", kind));
  if (!first.ok()) return first.error();
  const auto& shape = first->shape;
  const auto fits = [](uint64_t size) {
    return size > 0 && size <= std::numeric_limits<uint16_t>::max();
  };
  if (shape.size() != 3 || shape[1] != shape[2] || !fits(shape[0]) || !fits(shape[1])) {
    return fault(file, fmt::format("tensor layers.0{}, {} [{}]: expected F32 [kv_heads, dim, dim]",
                                   kind, first->dtype, fmt::join(shape, ", ")));
  }
  heads = static_cast<uint32_t>(shape[0]);
  dim = static_cast<uint32_t>(shape[1]);
  layers = std::max(layers, static_cast<uint32_t>(count));
  return {};
}

}  // namespace

bool names_moments(const SafetensorsHeader& header) {
  return std::any_of(header.tensors.begin(), header.tensors.end(),
                     [](const auto& tensor) { return is_moment(tensor.first); });
}

Status check_moments(const SafetensorsFile& file) {
  for (const auto& [name, tensor] : file.header().tensors) {
    if (!is_moment(name)) return fault(file, fmt::format("tensor {} is no moment", name));
  }
  const auto weights = file.header().metadata.find("weights");
  if (weights == file.header().metadata.end()) {
    return fault(file, "metadata weights: missing; expected the id of the model's weights");
  }
  kernels::Geometry geometry;
  Status found = find_shape(file, kQuery, geometry.key_heads, geometry.key_dim, geometry.layers);
  if (found.ok()) {
    found = find_shape(file, kOutput, geometry.value_heads, geometry.value_dim, geometry.layers);
  }
  if (!found.ok()) return found;
  const auto moments = read_moments({file.path()}, geometry, weights->second);
  return moments.ok() ? Status() : Status(moments.error());
}

}  // namespace kvcast::packager
