#include "packager/moments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "manifests/safetensors.h"

namespace kvcast::packager {
namespace {

using kernels::Geometry;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::SafetensorsFile;
using manifests::Status;

std::string tensor_name(uint32_t layer, Side side) {
  return fmt::format("layers.{}.{}_moment", layer, side == Side::kKey ? "query" : "output");
}

Error fault(const SafetensorsFile& file, const std::string& what) {
  return {ErrorKind::kCorrupt, fmt::format("{}: {}", file.path(), what)};
}

Status check_tensor(const SafetensorsFile& file, const std::string& name,
                    const manifests::TensorInfo& tensor, uint64_t heads, uint64_t dim) {
  const std::vector<uint64_t> shape = {heads, dim, dim};
  if (tensor.dtype == "F32" && tensor.shape == shape) return {};
  return fault(
      file, fmt::format("tensor {}, {} [{}]: expected F32 [{}], of this cache", name, tensor.dtype,
                        fmt::join(tensor.shape, ", "), fmt::join(shape, ", ")));
}

// Adds one layer's matrices of one side, each times `share`, to [head] of `to`.
Status add_layer(const SafetensorsFile& file, uint32_t layer, Side side, const Geometry& geometry,
                 float share, std::span<std::vector<float>> to) {
  const std::string name = tensor_name(layer, side);
  const auto tensor = file.tensor(name);
  if (!tensor.ok()) return tensor.error();
  const size_t dim = geometry.dim(side);
  if (Status good = check_tensor(file, name, *tensor, to.size(), dim); !good.ok()) return good;
  std::vector<float> values(to.size() * dim * dim);
  if (Status read = file.read(*tensor, 0, std::as_writable_bytes(std::span(values))); !read.ok()) {
    return read;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t head = i / (dim * dim), row = i / dim % dim, column = i % dim;
    if (!std::isfinite(values[i]) || (row == column && values[i] < 0)) {
      return fault(file, fmt::format("tensor {}[{}, {}, {}] is {}: no second moment", name, head,
                                     row, column, values[i]));
    }
    to[head].resize(dim * dim);
    to[head][i % (dim * dim)] += share * values[i];
  }
  return {};
}

Status add_side(const SafetensorsFile& file, Side side, const Geometry& geometry, float share,
                std::vector<std::vector<float>>& to) {
  const bool is_there = file.header().tensors.contains(tensor_name(0, side));
  if (!is_there || geometry.channels(side) == 0) return {};
  const size_t heads = geometry.heads(side);
  to.resize(geometry.layers * heads);
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    Status added =
        add_layer(file, layer, side, geometry, share, std::span(to).subspan(layer * heads, heads));
    if (!added.ok()) return added;
  }
  return {};
}

Status check_model(const SafetensorsFile& file, const std::string& weights) {
  const auto named = file.header().metadata.find("weights");
  if (named != file.header().metadata.end() && named->second == weights) return {};
  return fault(file, fmt::format("metadata weights: {}, but the caches are of {}; use moments of "
                                 "the same model",
                                 named == file.header().metadata.end() ? "missing" : named->second,
                                 weights));
}

}  // namespace

Result<Moments> read_moments(const std::vector<std::string>& paths, const Geometry& geometry,
                             const std::string& weights) {
  Moments moments;
  const float share = 1.0f / static_cast<float>(std::max<size_t>(1, paths.size()));
  for (const std::string& path : paths) {
    const auto file = SafetensorsFile::open(path);
    if (!file.ok()) return file.error();
    if (Status same = check_model(*file, weights); !same.ok()) return same.error();
    const auto& tensors = file->header().tensors;
    if (!tensors.contains(tensor_name(0, Side::kKey)) &&
        !tensors.contains(tensor_name(0, Side::kValue))) {
      return fault(*file,
                   "neither layers.0.query_moment nor layers.0.output_moment: "
                   "packager/moments_format.md says what is expected");
    }
    for (const Side side : {Side::kKey, Side::kValue}) {
      Status added = add_side(*file, side, geometry, share,
                              side == Side::kKey ? moments.query : moments.output);
      if (!added.ok()) return added.error();
    }
  }
  return moments;
}

std::vector<float> channel_weights(const Moments& moments, const Geometry& geometry, uint32_t layer,
                                   Side side) {
  const size_t heads = geometry.heads(side), dim = geometry.dim(side);
  std::vector<float> weights(heads * dim, 1.0f);
  const auto& matrices = side == Side::kKey ? moments.query : moments.output;
  if (matrices.empty()) return weights;
  constexpr double kLeastShare = 1e-4;  // of the largest: a channel nobody looks at keeps some bits
  std::vector<double> diagonal;
  for (size_t head = 0; head < heads; ++head) {
    const std::vector<float>& matrix = matrices[layer * heads + head];
    for (size_t d = 0; d < dim; ++d) diagonal.push_back(matrix[d * dim + d]);
  }
  const double most = *std::max_element(diagonal.begin(), diagonal.end());
  if (most <= 0) return weights;
  double log_sum = 0;
  for (double& x : diagonal) {
    x = std::max(x, kLeastShare * most);
    log_sum += std::log(x);
  }
  const double mean = std::exp(log_sum / static_cast<double>(diagonal.size()));
  for (size_t c = 0; c < weights.size(); ++c) {
    weights[c] = static_cast<float>(std::sqrt(diagonal[c] / mean));
  }
  return weights;
}

}  // namespace kvcast::packager
