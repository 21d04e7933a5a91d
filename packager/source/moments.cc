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

// Adds one layer's matrices of one side, each times `share`, to `to`: [head][dim][dim].
Status add_layer(const SafetensorsFile& file, uint32_t layer, Side side, const Geometry& geometry,
                 float share, std::span<float> to) {
  const std::string name = tensor_name(layer, side);
  const auto tensor = file.tensor(name);
  if (!tensor.ok()) return tensor.error();
  const size_t heads = geometry.heads(side), dim = geometry.dim(side);
  if (Status good = check_tensor(file, name, *tensor, heads, dim); !good.ok()) return good;
  std::vector<float> values(to.size());
  if (Status read = file.read(*tensor, 0, std::as_writable_bytes(std::span(values))); !read.ok()) {
    return read;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t head = i / (dim * dim), row = i / dim % dim, column = i % dim;
    if (!std::isfinite(values[i]) || (row == column && values[i] < 0)) {
      return fault(file, fmt::format("tensor {}[{}, {}, {}] is {}: no second moment", name, head,
                                     row, column, values[i]));
    }
    to[i] += share * values[i];
  }
  return {};
}

std::vector<float> identities(size_t heads, size_t dim) {
  std::vector<float> matrices(heads * dim * dim);
  for (size_t i = 0; i < heads * dim; ++i) matrices[i * dim + i % dim] = 1;
  return matrices;
}

Status check_model(const SafetensorsFile& file, const std::string& weights) {
  const auto named = file.header().metadata.find("weights");
  if (named != file.header().metadata.end() && named->second == weights) return {};
  return fault(file, fmt::format("metadata weights: {}, but the caches are of {}; use moments of "
                                 "the same model",
                                 named == file.header().metadata.end() ? "missing" : named->second,
                                 weights));
}

// The files that have moments of a side, averaged.
Status read_side(std::span<const SafetensorsFile> files, Side side, const Geometry& geometry,
                 std::vector<std::vector<float>>& moments) {
  const auto has_side = [&](const SafetensorsFile& file) {
    return file.header().tensors.contains(tensor_name(0, side));
  };
  const auto count = std::count_if(files.begin(), files.end(), has_side);
  for (uint32_t layer = 0; layer < geometry.layers; ++layer) {
    std::vector<float>& to = moments[2 * layer + static_cast<uint32_t>(side)];
    to = identities(geometry.heads(side), geometry.dim(side));
    if (count == 0 || geometry.channels(side) == 0) continue;
    std::fill(to.begin(), to.end(), 0.0f);
    for (const SafetensorsFile& file : files) {
      if (!has_side(file)) continue;
      const float share = 1.0f / static_cast<float>(count);
      if (Status added = add_layer(file, layer, side, geometry, share, to); !added.ok()) {
        return added;
      }
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::vector<float>>> read_moments(const std::vector<std::string>& paths,
                                                     const Geometry& geometry,
                                                     const std::string& weights) {
  std::vector<SafetensorsFile> files;
  for (const std::string& path : paths) {
    auto file = SafetensorsFile::open(path);
    if (!file.ok()) return file.error();
    if (Status same = check_model(*file, weights); !same.ok()) return same.error();
    const auto& tensors = file->header().tensors;
    if (!tensors.contains(tensor_name(0, Side::kKey)) &&
        !tensors.contains(tensor_name(0, Side::kValue))) {
      return fault(*file,
                   "neither layers.0.query_moment nor layers.0.output_moment: "
                   "packager/moments_format.md says what is expected");
    }
    files.push_back(std::move(*file));
  }
  std::vector<std::vector<float>> moments(2 * geometry.layers);
  for (const Side side : {Side::kKey, Side::kValue}) {
    if (Status read = read_side(files, side, geometry, moments); !read.ok()) return read.error();
  }
  return moments;
}

}  // namespace kvcast::packager
