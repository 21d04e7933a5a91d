#include "manifests/kv/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace kvcast::manifests {
namespace {

constexpr size_t kMaxLayoutBytes = 32;

std::string read_layout(const JsonNode& node, bool may_be_none) {
  const JsonNode layout = node.member("layout");
  std::string name = layout.string(1, kMaxLayoutBytes);
  layout.expect(name == "half_split" || name == "interleaved" || (may_be_none && name == "none"),
                may_be_none ? "\"half_split\", \"interleaved\" or \"none\""
                            : "\"half_split\" or \"interleaved\"");
  return name;
}

// Defaults: every dim from the first one on rotates, unless the frequencies say how many.
void read_rotation(const JsonNode& node, const RopedKeys& keys, StatedRope& rope) {
  if (const auto theta = node.optional_member("theta")) rope.theta = theta->number(0, 1e300);
  if (const auto first = node.optional_member("first_dim")) {
    rope.first_dim = static_cast<uint32_t>(first->integer(0, keys.key_dim));
  }
  if (const auto frequencies = node.optional_member("inv_freq")) {
    for (const JsonNode& frequency : frequencies->elements(1, keys.key_dim / 2)) {
      rope.inv_freq.push_back(frequency.number(0, 1e300));
    }
    rope.rotary_dims = static_cast<uint32_t>(2 * rope.inv_freq.size());
  } else if (rope.rotary_dims == 0) {
    rope.rotary_dims = (keys.key_dim - rope.first_dim) / 2 * 2;
  }
  if (const auto dims = node.optional_member("rotary_dims")) {
    const uint32_t most = rope.inv_freq.empty() ? keys.key_dim / 2 * 2 : rope.rotary_dims;
    rope.rotary_dims = static_cast<uint32_t>(dims->integer(2, most));
    dims->expect(rope.rotary_dims % 2 == 0, "an even number");
    dims->expect(rope.inv_freq.empty() || rope.rotary_dims == most, "two for each of inv_freq");
  }
  if (const auto scaling = node.optional_member("attention_scaling")) {
    rope.attention_scaling = scaling->number(1e-6, 1e6);
  }
  if (const auto scaling = node.optional_member("scaling")) {
    rope.scaling = read_scaling(*scaling, *scaling, keys);
  }
  check_factors(node, rope);
  node.expect(rope.theta > 0 || !rope.inv_freq.empty(), "theta above 0 or inv_freq");
  node.expect(rope.rotary_dims >= 2 && rope.rotary_dims <= keys.key_dim &&
                  rope.first_dim <= keys.key_dim - rope.rotary_dims,
              fmt::format("first_dim + rotary_dims of at most {}", keys.key_dim));
}

void read_layers(const JsonNode& node, const RopedKeys& keys, StatedRope& rope) {
  const auto layers = node.optional_member("layers");
  if (!layers) return;
  rope.layers.clear();
  for (const JsonNode& layer : layers->elements(1, keys.layers)) {
    const auto index = static_cast<uint32_t>(layer.integer(0, keys.layers - 1));
    layer.expect(rope.layers.empty() || rope.layers.back() < index, "layers in ascending order");
    rope.layers.push_back(index);
  }
}

// One object: of its own, or what a config says, with its own members overruling.
std::vector<StatedRope> read_statement(const JsonNode& node, const RopedKeys& keys,
                                       bool may_be_none) {
  const std::string layout = read_layout(node, may_be_none);
  if (layout == "none") return {};
  std::vector<StatedRope> ropes{StatedRope{layout}};
  if (const auto config = node.optional_member("config")) {
    ropes = read_config(*config, layout, keys);
    if (ropes.size() > 1) return ropes;  // by kind of layer: no one member could overrule them
  }
  for (StatedRope& rope : ropes) {
    read_rotation(node, keys, rope);
    read_layers(node, keys, rope);
  }
  return ropes;
}

void check_layers(const JsonNode& node, std::span<const StatedRope> ropes) {
  std::set<uint32_t> seen;
  for (const StatedRope& rope : ropes) {
    node.expect(!rope.layers.empty() || ropes.size() == 1, "layers in each of several");
    for (const uint32_t layer : rope.layers) {
      if (!seen.insert(layer).second) node.fail(fmt::format("layer {} is there twice", layer));
    }
  }
}

nlohmann::ordered_json to_json(const RopeScaling& scaling) {
  nlohmann::ordered_json json = {{"rope_type", scaling.rule}, {"factor", scaling.factor}};
  if (scaling.rule == "linear") return json;
  json["original_max_position_embeddings"] = scaling.trained_positions;
  if (scaling.rule == "llama3") {
    json["low_freq_factor"] = scaling.low_freq_factor;
    json["high_freq_factor"] = scaling.high_freq_factor;
  }
  if (scaling.rule == "yarn") {
    json["beta_fast"] = scaling.beta_fast;
    json["beta_slow"] = scaling.beta_slow;
    json["truncate"] = scaling.truncate;
    if (scaling.mscale > 0) json["mscale"] = scaling.mscale;
    if (scaling.mscale_all_dim > 0) json["mscale_all_dim"] = scaling.mscale_all_dim;
  }
  if (scaling.attention_factor) json["attention_factor"] = *scaling.attention_factor;
  if (scaling.rule == "dynamic" || scaling.rule == "longrope") {
    json["context_tokens"] = scaling.context_tokens;
  }
  if (scaling.rule == "longrope") {
    json["short_factor"] = scaling.short_factor;
    json["long_factor"] = scaling.long_factor;
  }
  return json;
}

nlohmann::ordered_json to_json(const StatedRope& rope) {
  nlohmann::ordered_json json = {{"layout", rope.layout}};
  if (rope.theta > 0) json["theta"] = rope.theta;
  json["rotary_dims"] = rope.rotary_dims;
  if (rope.first_dim > 0) json["first_dim"] = rope.first_dim;
  if (rope.attention_scaling) json["attention_scaling"] = *rope.attention_scaling;
  if (!rope.inv_freq.empty()) json["inv_freq"] = rope.inv_freq;
  if (rope.scaling) json["scaling"] = to_json(*rope.scaling);
  if (!rope.layers.empty()) json["layers"] = rope.layers;
  return json;
}

}  // namespace

std::vector<StatedRope> read_ropes(const JsonNode& node, const RopedKeys& keys) {
  if (!node.is_array()) {
    std::vector<StatedRope> ropes = read_statement(node, keys, /*may_be_none=*/true);
    if (ropes.size() > 1) check_layers(node, ropes);
    return ropes;
  }
  std::vector<StatedRope> ropes;
  for (const JsonNode& element : node.elements(1, kMaxRopes)) {
    for (StatedRope& rope : read_statement(element, keys, /*may_be_none=*/false)) {
      ropes.push_back(std::move(rope));
    }
  }
  check_layers(node, ropes);
  return ropes;
}

nlohmann::ordered_json ropes_json(std::span<const StatedRope> ropes) {
  if (ropes.empty()) return {{"layout", "none"}};
  if (ropes.size() == 1) return to_json(ropes.front());
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StatedRope& rope : ropes) list.push_back(to_json(rope));
  return list;
}

bool is_plain(std::span<const StatedRope> ropes) {
  return ropes.empty() || (ropes.size() == 1 && ropes[0].theta > 0 && ropes[0].first_dim == 0 &&
                           ropes[0].inv_freq.empty() && !ropes[0].scaling &&
                           !ropes[0].attention_scaling && ropes[0].layers.empty());
}

}  // namespace kvcast::manifests
