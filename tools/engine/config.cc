#include "tools/engine/config.h"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "kernels/rope.h"
#include "tools/engine/load/fields.h"

namespace kvcast::engine {
namespace {

using manifests::Result;
using manifests::Status;
using nlohmann::json;

// Llama 3.1's rule: long wavelengths are stretched by `factor`, short ones kept, those between
// blended. https://github.com/huggingface/transformers, modeling_rope_utils.py,
// _compute_llama3_parameters
void scale_as_llama3(Fields& scaling, std::vector<double>& frequencies) {
  const double factor = scaling.positive("factor");
  const double low_factor = scaling.positive("low_freq_factor");
  const double high_factor = scaling.positive("high_freq_factor");
  const double original = scaling.positive("original_max_position_embeddings");
  if (high_factor <= low_factor) {
    scaling.fail("\"high_freq_factor\" is not above \"low_freq_factor\"");
    return;
  }
  for (double& frequency : frequencies) {
    const double turns = original * frequency / (2 * std::numbers::pi);
    if (turns >= high_factor) continue;
    const double smooth =
        turns <= low_factor ? 0 : (turns - low_factor) / (high_factor - low_factor);
    frequency = (1 - smooth) * frequency / factor + smooth * frequency;
  }
}

// transformers writes theta beside `rope_scaling` up to version 4, inside `rope_parameters` from 5
// on.
Status read_rope(Fields& fields, ModelConfig& config) {
  const bool inside = fields.has("rope_parameters");
  const char* key = inside ? "rope_parameters" : "rope_scaling";
  Fields scaling(fields.value(key), fields.name() + ": " + key);
  config.rope_theta = inside
                          ? scaling.positive("rope_theta", fields.positive("rope_theta", 10000.0))
                          : fields.positive("rope_theta", 10000.0);
  config.rope.inv_freq = kernels::rope_frequencies(config.rope_theta, config.head_dim);
  const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  config.rope_scaled = type != "default";
  if (type == "linear") {
    const double factor = scaling.positive("factor");
    for (double& frequency : config.rope.inv_freq) frequency /= factor;
  } else if (type == "llama3") {
    scale_as_llama3(scaling, config.rope.inv_freq);
  } else if (type != "default") {
    scaling.fail(
        fmt::format("RoPE scaling \"{}\" is not supported: default, linear and llama3 are", type));
  }
  return scaling.status();
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
  if (fields.positive("partial_rotary_factor", 1.0) != 1.0) {
    fields.fail("\"partial_rotary_factor\" is not 1; this engine rotates whole heads");
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
  if (Status status = read_rope(fields, config); !status.ok()) return status.error();
  if (Status status = fields.status(); !status.ok()) return status.error();
  return config;
}

}  // namespace kvcast::engine
