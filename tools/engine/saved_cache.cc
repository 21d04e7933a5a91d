#include "tools/engine/saved_cache.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "kernels/dtype.h"
#include "manifests/kv_file.h"
#include "manifests/safetensors_writer.h"

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

constexpr Side kSides[] = {Side::kKey, Side::kValue};

std::string tensor_name(uint32_t layer, Side side) {
  return side == Side::kKey ? manifests::key_tensor_name(layer)
                            : manifests::value_tensor_name(layer);
}

manifests::KvFileInfo describe(const Model& model, std::span<const uint32_t> tokens,
                               const std::string& text, DType dtype) {
  manifests::KvFileInfo info;
  info.model = model.identity(dtype);
  info.ropes = {model.config().stated_rope};
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
  const ModelConfig& config = model.config();
  std::vector<manifests::TensorPlan> plan;
  for (uint32_t layer = 0; layer < cache.layers(); ++layer) {
    for (const Side side : kSides) {
      plan.push_back({tensor_name(layer, side),
                      kernels::dtype_name(dtype),
                      {tokens.size(), config.kv_heads, config.head_dim}});
    }
  }
  Result<manifests::SafetensorsWriter> writer = manifests::SafetensorsWriter::create(
      path, manifests::kv_file_metadata(describe(model, tokens, text, dtype)), plan);
  if (!writer.ok()) return writer.error();
  std::vector<std::byte> bytes(tokens.size() * cache.channels() * kernels::dtype_bytes(dtype));
  for (size_t tensor = 0; tensor < plan.size(); ++tensor) {
    const auto layer = static_cast<uint32_t>(tensor / 2);
    Status status = cache.export_tokens(layer, kSides[tensor % 2], dtype, 0, tokens.size(), bytes);
    if (status.ok()) status = writer->write(tensor, 0, bytes);
    if (!status.ok()) return status.error();
  }
  if (Status status = writer->commit(); !status.ok()) return status.error();
  return uint64_t{bytes.size()} * plan.size();
}

Result<uint64_t> load_cache(const SafetensorsFile& file, const Model& model, KvCache& cache) {
  Result<manifests::KvFileInfo> info = manifests::describe_kv_file(file);
  if (!info.ok()) return info.error();
  const std::optional<DType> dtype = kernels::dtype_from_name(info->model.dtype);
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
    for (const Side side : kSides) {
      if (Status status = load_side(file, *dtype, layer, side, info->tokens, cache); !status.ok()) {
        return Error{status.error().kind,
                     fmt::format("{}: {}", file.path(), status.error().message)};
      }
    }
  }
  return info->tokens;
}

}  // namespace kvcast::engine
