#include "tools/engine/config.h"

#include <fmt/format.h>

#include <utility>

#include "packager/rope.h"
#include "tools/engine/load/fields.h"

namespace kvcast::engine {
namespace {

using manifests::Result;
using manifests::Status;
using nlohmann::json;

// Whole heads, all layers alike, whatever the length of the context.
Status read_rope(std::string_view text, std::string_view name, ModelConfig& config) {
  auto ropes =
      manifests::ropes_of_config(text, "half_split", {config.layers, config.head_dim, 0}, name);
  if (!ropes.ok()) return ropes.error();
  const auto refuse = [&](std::string_view what) {
    return manifests::Error{manifests::ErrorKind::kCorrupt,
                            fmt::format("{}: {}; this engine cannot run it", name, what)};
  };
  if (ropes->size() != 1 || !ropes->front().layers.empty()) {
    return refuse("RoPE that differs between layers");
  }
  config.stated_rope = ropes->front();
  if (config.stated_rope.rotary_dims != config.head_dim) return refuse("RoPE on part of a head");
  const auto& scaling = config.stated_rope.scaling;
  if (scaling && (scaling->rule == "dynamic" || scaling->rule == "longrope")) {
    return refuse(fmt::format("RoPE scaling \"{}\", which depends on the length of the context",
                              scaling->rule));
  }
  auto rope = packager::kernel_rope(config.stated_rope, name);
  if (!rope.ok()) return rope.error();
  config.rope = std::move(*rope);
  return {};
}

void read_special_tokens(Fields& fields, ModelConfig& config) {
  const auto id = [&](const json& value, const char* key) -> std::optional<uint32_t> {
    if (value.is_number_unsigned() && value.get<uint64_t>() < config.vocabulary) {
      return static_cast<uint32_t>(value.get<uint64_t>());
    }
    fields.fail(fmt::format("\"{}\" is {}, expected a token id below {}", key, value.dump(),
                            config.vocabulary));
    return std::nullopt;
  };
  if (fields.has("bos_token_id")) config.bos = id(fields.value("bos_token_id"), "bos_token_id");
  const json& eos = fields.value("eos_token_id");
  for (const json& value : eos.is_array() ? eos : json::array({eos})) {
    if (value.is_null()) continue;
    if (const auto token = id(value, "eos_token_id")) config.eos.push_back(*token);
  }
}

void refuse_unsupported(Fields& fields) {
  if (const std::string type = fields.text("model_type", "llama"); type != "llama") {
    fields.fail(fmt::format("\"model_type\" is \"{}\"; this engine runs \"llama\" only", type));
  }
  if (const std::string activation = fields.text("hidden_act", "silu"); activation != "silu") {
    fields.fail(
        fmt::format("\"hidden_act\" is \"{}\"; this engine runs \"silu\" only", activation));
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (fields.flag(key, false))
      fields.fail(fmt::format("\"{}\" is true; this engine has no biases", key));
  }
  if (fields.has("quantization_config")) {
    fields.fail("\"quantization_config\" is set; this engine reads F16, BF16 and F32 weights only");
  }
}

}  // namespace

Result<ModelConfig> parse_config(std::string_view text, std::string_view name) {
  Result<json> parsed = parse_json_object(text, name);
  if (!parsed.ok()) return parsed.error();
  Fields fields(*parsed, std::string(name));
  refuse_unsupported(fields);
  ModelConfig config;
  config.layers = fields.count("num_hidden_layers", kernels::kMaxLayers);
  config.hidden = fields.count("hidden_size", kMaxHidden);
  config.intermediate = fields.count("intermediate_size", kMaxHidden);
  config.heads = fields.count("num_attention_heads", kMaxHeads);
  config.kv_heads = fields.count("num_key_value_heads", kMaxHeads, config.heads);
  config.head_dim = fields.count("head_dim", kMaxHeadDim, config.hidden / config.heads);
  config.vocabulary = fields.count("vocab_size", kMaxVocabulary);
  config.max_positions = fields.count("max_position_embeddings", kMaxPositions, 2048);
  config.norm_epsilon = static_cast<float>(fields.positive("rms_norm_eps", 1e-6));
  config.tied_embeddings = fields.flag("tie_word_embeddings", false);
  if (config.heads % config.kv_heads != 0) {
    fields.fail(
        fmt::format("{} \"num_attention_heads\" cannot share {} \"num_key_value_heads\" evenly",
                    config.heads, config.kv_heads));
  }
  if (config.head_dim < 2 || config.head_dim % 2 != 0) {
    fields.fail(fmt::format("\"head_dim\" is {}, RoPE needs an even number", config.head_dim));
  }
  read_special_tokens(fields, config);
  if (Status status = fields.status(); !status.ok()) return status.error();
  if (Status status = read_rope(text, name, config); !status.ok()) return status.error();
  return config;
}

}  // namespace kvcast::engine
