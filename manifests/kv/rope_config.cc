#include <fmt/format.h>

#include <algorithm>

#include "manifests/json/document.h"
#include "manifests/kv/rope.h"

namespace kvcast::manifests {
namespace {

constexpr size_t kMaxConfigBytes = 4u << 20;
constexpr size_t kMaxConfigValues = 200'000;
constexpr double kMostPositions = 1e12;
constexpr double kMostFactor = 1e9;
constexpr double kDefaultTheta = 10000;

std::optional<JsonNode> first_of(const JsonNode& node, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (auto found = node.optional_member(key)) return found;
  }
  return std::nullopt;
}

double number_or(const JsonNode& node, const char* key, double least, double most, double absent) {
  const auto member = node.optional_member(key);
  return member ? member->number(least, most) : absent;
}

std::vector<double> read_factors(const JsonNode& node, const RopedKeys& keys) {
  std::vector<double> factors;
  for (const JsonNode& factor : node.elements(1, keys.key_dim)) {
    factors.push_back(factor.number(1e-6, kMostFactor));
  }
  return factors;
}

// Which layers rotate: 1 in no_rope_layers, all but every n-th otherwise. Empty: all.
std::vector<uint32_t> rotating_layers(const JsonNode& config, const RopedKeys& keys) {
  std::vector<uint32_t> layers;
  if (const auto list = config.optional_member("no_rope_layers")) {
    const std::vector<JsonNode> flags = list->elements(0, keys.layers);
    for (uint32_t layer = 0; layer < flags.size(); ++layer) {
      if (flags[layer].integer(0, 1) == 1) layers.push_back(layer);
    }
    if (!flags.empty()) {
      list->expect(flags.size() == keys.layers, fmt::format("{} elements", keys.layers));
      return layers;
    }
  }
  if (const auto interval = config.optional_member("no_rope_layer_interval")) {
    const uint64_t every = interval->integer(1, kMaxRopes * keys.layers);
    for (uint32_t layer = 0; layer < keys.layers; ++layer) {
      if ((layer + 1) % every != 0) layers.push_back(layer);
    }
  }
  return layers;
}

bool has_nope_layers(const JsonNode& config) {
  return config.optional_member("no_rope_layers") ||
         config.optional_member("no_rope_layer_interval");
}

// How many dims rotate, and from which on.
void read_dims(const JsonNode& config, const JsonNode& parameters, const RopedKeys& keys,
               StatedRope& rope) {
  const auto dims_of = [&](const JsonNode& node) {
    return static_cast<uint32_t>(node.integer(2, keys.key_dim)) / 2 * 2;
  };
  if (const auto mla = config.optional_member("qk_rope_head_dim")) {
    rope.rotary_dims = dims_of(*mla);
    rope.first_dim = keys.key_dim - std::min(keys.key_dim, rope.rotary_dims);
    return;
  }
  if (const auto dims = config.optional_member("rotary_dim")) {
    rope.rotary_dims = dims_of(*dims);
    return;
  }
  auto fraction = first_of(parameters, {"partial_rotary_factor"});
  if (!fraction) fraction = first_of(config, {"partial_rotary_factor", "rotary_pct"});
  const double share = fraction ? fraction->number(0, 1) : 1.0;
  rope.rotary_dims = static_cast<uint32_t>(keys.key_dim * share) / 2 * 2;
}

// One kind of layer. `parameters`: rope_parameters or rope_scaling, where there is one.
StatedRope read_kind(const JsonNode& config, const std::optional<JsonNode>& parameters,
                     const std::string& layout, const RopedKeys& keys) {
  StatedRope rope{layout};
  const JsonNode& inner = parameters ? *parameters : config;
  read_dims(config, inner, keys, rope);
  auto theta = first_of(inner, {"rope_theta"});
  if (!theta) theta = first_of(config, {"rope_theta", "rotary_emb_base"});
  rope.theta = theta ? theta->number(1e-3, 1e300) : kDefaultTheta;
  if (parameters) rope.scaling = read_scaling(*parameters, config, keys);
  check_factors(config, rope);
  return rope;
}

// `rope_parameters` by kind of layer, as Gemma 3 and ModernBERT have it.
std::vector<StatedRope> read_kinds(const JsonNode& config, const JsonNode& parameters,
                                   const std::vector<std::string>& kinds, const std::string& layout,
                                   const RopedKeys& keys) {
  std::vector<StatedRope> ropes;
  const std::vector<JsonNode> types =
      config.member("layer_types").elements(keys.layers, keys.layers);
  for (const std::string& kind : kinds) {
    StatedRope rope = read_kind(config, parameters.member(kind), layout, keys);
    for (uint32_t layer = 0; layer < types.size(); ++layer) {
      if (types[layer].string(1, 64) == kind) rope.layers.push_back(layer);
    }
    if (!rope.layers.empty()) ropes.push_back(std::move(rope));
  }
  return ropes;
}

// original_max_position_embeddings, which some configs have beside rope_scaling and most within;
// the dynamic rule stretches what the model claims.
double read_trained_positions(const JsonNode& node, const JsonNode& config, bool is_dynamic) {
  constexpr const char* kOriginal = "original_max_position_embeddings";
  constexpr const char* kClaimed = "max_position_embeddings";
  auto positions = first_of(config, {is_dynamic ? kClaimed : kOriginal});
  if (!positions) positions = first_of(node, {kOriginal, kClaimed});
  if (!positions) positions = first_of(config, {kClaimed});
  return (positions ? *positions : node.member(kOriginal)).number(2, kMostPositions);
}

void read_rule(const JsonNode& node, const JsonNode& config, const RopedKeys& keys,
               RopeScaling& scaling) {
  if (scaling.rule == "linear") return;
  scaling.trained_positions = read_trained_positions(node, config, scaling.rule == "dynamic");
  if (scaling.rule == "llama3") {
    scaling.low_freq_factor = node.member("low_freq_factor").number(0, kMostFactor);
    const JsonNode high = node.member("high_freq_factor");
    scaling.high_freq_factor = high.number(0, kMostFactor);
    high.expect(scaling.high_freq_factor > scaling.low_freq_factor, "more than low_freq_factor");
  }
  if (scaling.rule == "yarn") {
    scaling.beta_fast = number_or(node, "beta_fast", 1e-6, kMostFactor, 32);
    scaling.beta_slow = number_or(node, "beta_slow", 1e-6, kMostFactor, 1);
    scaling.mscale = number_or(node, "mscale", 0, kMostFactor, 0);
    scaling.mscale_all_dim = number_or(node, "mscale_all_dim", 0, kMostFactor, 0);
    if (const auto truncate = node.optional_member("truncate")) scaling.truncate = truncate->flag();
  }
  if (const auto attention = node.optional_member("attention_factor")) {
    scaling.attention_factor = attention->number(1e-6, 1e6);
  }
  if (scaling.rule == "dynamic" || scaling.rule == "longrope") {
    scaling.context_tokens =
        number_or(node, "context_tokens", 0, kMostPositions, static_cast<double>(keys.tokens));
  }
  if (scaling.rule == "longrope") {
    scaling.short_factor = read_factors(node.member("short_factor"), keys);
    scaling.long_factor = read_factors(node.member("long_factor"), keys);
  }
}

}  // namespace

std::optional<RopeScaling> read_scaling(const JsonNode& node, const JsonNode& config,
                                        const RopedKeys& keys) {
  const auto type = first_of(node, {"rope_type", "type"});
  if (!type) return std::nullopt;
  RopeScaling scaling;
  scaling.rule = type->string(1, 64);
  if (scaling.rule == "default") return std::nullopt;
  if (scaling.rule == "su") scaling.rule = "longrope";  // as the first Phi-3 files call it
  const std::initializer_list<std::string_view> known = {"linear", "dynamic", "yarn", "llama3",
                                                         "longrope"};
  type->expect(std::find(known.begin(), known.end(), scaling.rule) != known.end(),
               "default, linear, dynamic, yarn, llama3 or longrope; for any other rule state its "
               "inv_freq");
  read_rule(node, config, keys, scaling);
  if (const auto factor = node.optional_member("factor")) {
    scaling.factor = factor->number(1e-6, kMostFactor);
  } else if (scaling.rule == "longrope" || scaling.rule == "yarn") {
    scaling.factor = config.member("max_position_embeddings").number(1, kMostPositions) /
                     scaling.trained_positions;
  } else {
    node.member("factor");
  }
  return scaling;
}

void check_factors(const JsonNode& node, const StatedRope& rope) {
  if (!rope.scaling || rope.scaling->rule != "longrope") return;
  const size_t pairs = rope.rotary_dims / 2;
  if (rope.scaling->short_factor.size() == pairs && rope.scaling->long_factor.size() == pairs) {
    return;
  }
  node.fail(fmt::format("{} short_factor and {} long_factor, expected {} for {} rotary dims",
                        rope.scaling->short_factor.size(), rope.scaling->long_factor.size(), pairs,
                        rope.rotary_dims));
}

std::vector<StatedRope> read_config(const JsonNode& config, const std::string& layout,
                                    const RopedKeys& keys) {
  const auto parameters = first_of(config, {"rope_parameters", "rope_scaling"});
  if (config.optional_member("rope_local_base_freq")) {
    config.fail("rope_local_base_freq: two kinds of layers; state a list, each with its layers");
    return {};
  }
  const std::vector<std::string> kinds =
      parameters ? parameters->object_members() : std::vector<std::string>();
  if (!kinds.empty()) return read_kinds(config, *parameters, kinds, layout, keys);
  StatedRope rope = read_kind(config, parameters, layout, keys);
  rope.layers = rotating_layers(config, keys);
  const bool rotates = rope.rotary_dims > 0 && !(has_nope_layers(config) && rope.layers.empty());
  if (!rotates) return {};
  if (rope.layers.size() == keys.layers) rope.layers.clear();
  return {rope};
}

Result<std::vector<StatedRope>> ropes_of_config(std::string_view config_json,
                                                std::string_view layout, const RopedKeys& keys,
                                                std::string_view name) {
  const auto document = parse_json(config_json, {kMaxConfigBytes, kMaxConfigValues, 16}, name);
  if (!document.ok()) return document.error();
  std::string fault;
  std::vector<StatedRope> ropes =
      read_config(JsonNode(*document, fault), std::string(layout), keys);
  if (!fault.empty()) return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  return ropes;
}

}  // namespace kvcast::manifests
