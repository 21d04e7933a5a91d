#include "tools/engine/load/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>

#include "kernels/dtype.h"

namespace kvcast::engine {
namespace {

using kernels::DType;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;
using manifests::SafetensorsFile;
using manifests::Status;
using manifests::TensorInfo;

// Reads tensors until one fails, and keeps why.
class TensorReader {
 public:
  explicit TensorReader(const SafetensorsFile& file) : file_(file) {}

  std::vector<float> read(const std::string& name, const std::vector<uint64_t>& shape) {
    std::vector<float> values;
    if (status_.ok()) status_ = read_into(name, shape, values);
    return values;
  }
  const Status& status() const { return status_; }

 private:
  Status read_into(const std::string& name, const std::vector<uint64_t>& shape,
                   std::vector<float>& values) {
    Result<TensorInfo> tensor = file_.tensor(name);
    if (!tensor.ok()) return tensor.error();
    const std::optional<DType> dtype = kernels::dtype_from_name(tensor->dtype);
    if (!dtype || kernels::is_fp8(*dtype)) {
      return fault(name,
                   fmt::format("dtype {}, this engine reads F16, BF16 and F32", tensor->dtype));
    }
    if (tensor->shape != shape) {
      return fault(name, fmt::format("shape [{}], config.json says [{}]",
                                     fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
    }
    std::vector<std::byte> bytes(tensor->bytes);
    if (Status status = file_.read(*tensor, 0, bytes); !status.ok()) return status;
    values.resize(tensor->bytes / kernels::dtype_bytes(*dtype));
    kernels::load_f32(*dtype, bytes.data(), values);
    return {};
  }

  Error fault(const std::string& name, const std::string& what) const {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: tensor {}: {}", file_.path(), name, what)};
  }

  const SafetensorsFile& file_;
  Status status_;
};

LayerWeights read_layer(TensorReader& reader, const ModelConfig& config, uint32_t layer) {
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  const uint64_t hidden = config.hidden, queries = config.query_channels(),
                 kv = config.kv_channels(), inner = config.intermediate;
  LayerWeights weights;
  weights.attention_norm = reader.read(prefix + "input_layernorm.weight", {hidden});
  weights.query = reader.read(prefix + "self_attn.q_proj.weight", {queries, hidden});
  weights.key = reader.read(prefix + "self_attn.k_proj.weight", {kv, hidden});
  weights.value = reader.read(prefix + "self_attn.v_proj.weight", {kv, hidden});
  weights.output = reader.read(prefix + "self_attn.o_proj.weight", {hidden, queries});
  weights.mlp_norm = reader.read(prefix + "post_attention_layernorm.weight", {hidden});
  weights.gate = reader.read(prefix + "mlp.gate_proj.weight", {inner, hidden});
  weights.up = reader.read(prefix + "mlp.up_proj.weight", {inner, hidden});
  weights.down = reader.read(prefix + "mlp.down_proj.weight", {hidden, inner});
  return weights;
}

}  // namespace

Result<Weights> read_weights(const SafetensorsFile& file, const ModelConfig& config) {
  TensorReader reader(file);
  Weights weights;
  weights.embedding = reader.read("model.embed_tokens.weight", {config.vocabulary, config.hidden});
  for (uint32_t layer = 0; layer < config.layers && reader.status().ok(); ++layer) {
    weights.layers.push_back(read_layer(reader, config, layer));
  }
  weights.final_norm = reader.read("model.norm.weight", {config.hidden});
  if (!config.tied_embeddings) {
    weights.head = reader.read("lm_head.weight", {config.vocabulary, config.hidden});
  }
  if (!reader.status().ok()) return reader.status().error();
  return weights;
}

}  // namespace kvcast::engine
