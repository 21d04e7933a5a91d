#include "tools/engine/saved_cache.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "manifests/kv_file.h"
#include "tools/engine/dtype_names.h"

namespace kvcast::engine {
namespace {

using kernels::DType;
using kernels::Side;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::SafetensorsFile;
using manifests::Status;
using manifests::TensorInfo;

std::string tensor_name(uint32_t layer, Side side) {
  return side == Side::kKey ? manifests::key_tensor_name(layer)
                            : manifests::value_tensor_name(layer);
}

manifests::KvFileInfo describe(const Model& model, std::span<const uint32_t> tokens,
                               const std::string& text, DType dtype) {
  const ModelConfig& config = model.config();
  manifests::KvFileInfo info;
  info.model = model.identity(dtype);
  info.rope.layout = "half_split";
  info.rope.theta = config.rope_theta;
  info.rope.rotary_dims = config.head_dim;
  if (config.rope_scaled) info.rope.inv_freq = config.rope.inv_freq;
  info.tokens = tokens.size();
  info.token_ids.assign(tokens.begin(), tokens.end());
  info.text = text;
  return info;
}

Status load_side(const SafetensorsFile& file, DType dtype, uint32_t layer, Side side,
                 uint64_t tokens, KvCache& cache) {
  Result<TensorInfo> tensor = file.tensor(tensor_name(layer, side));
  if (!tensor.ok()) return tensor.error();
  std::vector<std::byte> bytes(tensor->bytes);
  if (Status status = file.read(*tensor, 0, bytes); !status.ok()) return status;
  return cache.import_tokens(layer, side, dtype, 0, tokens, bytes);
}

}  // namespace

Result<uint64_t> save_cache(const std::string& path, const Model& model, const KvCache& cache,
                            std::span<const uint32_t> tokens, const std::string& text,
                            DType dtype) {
  const uint64_t side_bytes = tokens.size() * cache.channels() * kernels::dtype_bytes(dtype);
  std::vector<std::vector<std::byte>> bytes;
  std::vector<manifests::TensorToWrite> tensors;
  for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      std::vector<std::byte> of_side(side_bytes);
      if (Status status = cache.export_tokens(layer, side, dtype, 0, tokens.size(), of_side);
          !status.ok()) {
        return status.error();
      }
      bytes.push_back(std::move(of_side));
      tensors.push_back({tensor_name(layer, side),
                         kernels::dtype_name(dtype),
                         {tokens.size(), model.config().kv_heads, model.config().head_dim},
                         bytes.back()});
    }
  }
  const auto metadata = manifests::kv_file_metadata(describe(model, tokens, text, dtype));
  if (Status status = manifests::write_safetensors(path, metadata, tensors); !status.ok())
    return status.error();
  return side_bytes * tensors.size();
}

Result<uint64_t> load_cache(const SafetensorsFile& file, const Model& model, KvCache& cache) {
  Result<manifests::KvFileInfo> info = manifests::describe_kv_file(file);
  if (!info.ok()) return info.error();
  const std::optional<DType> dtype = dtype_from_name(info->model.dtype);
  if (!dtype || info->model.weights != model.weights_id()) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: a {} cache of model {} (weights {}), expected {} (weights {})",
                             file.path(), info->model.dtype, info->model.name, info->model.weights,
                             model.name(), model.weights_id())};
  }
  if (info->model.layers != cache.layers()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {} layers, the model has {}", file.path(),
                                                  info->model.layers, cache.layers())};
  }
  for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      if (Status status = load_side(file, *dtype, layer, side, info->tokens, cache); !status.ok()) {
        return Error{status.error().kind,
                     fmt::format("{}: {}", file.path(), status.error().message)};
      }
    }
  }
  return info->tokens;
}

}  // namespace kvcast::engine
