#include "manifests/kv_file.h"

#include <fmt/format.h>

#include "manifests/json/document.h"
#include "manifests/json/node.h"
#include "manifests/kv/tensors.h"

namespace kvcast::manifests {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr size_t kMaxIdBytes = 1024;       // as in a manifest
constexpr size_t kMaxRopeValues = 40'000;  // a frequency for each pair of the widest head
constexpr size_t kMaxRopeBytes = 1u << 20;

std::string load_names(const Metadata& metadata, ModelIdentity& model) {
  struct Field {
    const char* key;
    std::string* to;
  };
  for (const Field field :
       {Field{"model", &model.name}, Field{"weights", &model.weights},
        Field{"tokenizer", &model.tokenizer}, Field{"adapter", &model.adapter}}) {
    const auto found = metadata.find(field.key);
    if (found == metadata.end()) continue;
    if (found->second.size() > kMaxIdBytes) {
      return fmt::format("metadata {}: {} bytes, expected at most {}", field.key,
                         found->second.size(), kMaxIdBytes);
    }
    *field.to = found->second;
  }
  if (model.weights.empty()) model.weights = model.name;
  if (!model.weights.empty()) return {};
  return "metadata model: missing; it says which model made the cache, so that no other loads it";
}

std::string load_token_ids(const Metadata& metadata, KvFileInfo& info) {
  const auto found = metadata.find("tokens");
  if (found == metadata.end()) return {};
  const JsonLimits limits = {kMaxSafetensorsHeaderBytes, info.tokens + 2};
  const auto document = parse_json(found->second, limits, "metadata tokens");
  if (!document.ok()) return document.error().message;
  std::string fault;
  info.token_ids = JsonNode(*document, fault).integers(info.tokens, info.tokens);
  return fault.empty() ? fault : "metadata tokens: " + fault;
}

// Defaults: all dims of a head rotate, unless the frequencies say how many.
void read_rotation(const JsonNode& node, uint32_t key_dim, KvFileRope& rope) {
  if (const auto theta = node.optional_member("theta")) rope.theta = theta->number(0, 1e300);
  if (const auto frequencies = node.optional_member("inv_freq")) {
    for (const JsonNode& frequency : frequencies->elements(1, key_dim / 2)) {
      rope.inv_freq.push_back(frequency.number(0, 1e300));
    }
  }
  const uint32_t all =
      rope.inv_freq.empty() ? key_dim / 2 * 2 : static_cast<uint32_t>(2 * rope.inv_freq.size());
  rope.rotary_dims = all;
  if (const auto dims = node.optional_member("rotary_dims")) {
    rope.rotary_dims = static_cast<uint32_t>(dims->integer(2, all));
    dims->expect(rope.rotary_dims % 2 == 0, "an even number");
    dims->expect(rope.inv_freq.empty() || rope.rotary_dims == all, "two for each of inv_freq");
  }
  if (const auto first = node.optional_member("first_dim")) {
    rope.first_dim = static_cast<uint32_t>(first->integer(0, key_dim));
  }
  if (const auto scaling = node.optional_member("attention_scaling")) {
    rope.attention_scaling = scaling->number(1e-6, 1e6);
  }
  node.expect(rope.theta > 0 || !rope.inv_freq.empty(), "theta above 0 or inv_freq");
  node.expect(rope.rotary_dims >= 2 && rope.first_dim <= key_dim - rope.rotary_dims,
              fmt::format("first_dim + rotary_dims of at most {}", key_dim));
}

std::string load_rope(const Metadata& metadata, KvFileInfo& info) {
  const auto found = metadata.find("rope");
  if (found == metadata.end()) {
    return "metadata rope: missing; expected a layout and theta, such as "
           "{\"layout\":\"half_split\","
           "\"theta\":10000}, or {\"layout\":\"none\"} for keys without position";
  }
  const auto document = parse_json(found->second, {kMaxRopeBytes, kMaxRopeValues}, "metadata rope");
  if (!document.ok()) return document.error().message;
  std::string fault;
  const JsonNode node(*document, fault);
  const JsonNode layout = node.member("layout");
  info.rope.layout = layout.string(1, 32);
  const bool rotates = info.rope.layout == "half_split" || info.rope.layout == "interleaved";
  layout.expect(rotates || info.rope.layout == "none",
                "\"half_split\", \"interleaved\" or \"none\"");
  if (rotates) {
    read_rotation(node, info.model.key_dim, info.rope);
    info.model.rope = RopeParams{info.rope.layout, info.rope.theta, info.rope.rotary_dims};
  }
  return fault.empty() ? fault : "metadata rope: " + fault;
}

std::string load(const SafetensorsHeader& header, KvFileInfo& info) {
  if (std::string fault = load_tensors(header, info); !fault.empty()) return fault;
  const Metadata& metadata = header.metadata;
  if (std::string fault = load_names(metadata, info.model); !fault.empty()) return fault;
  if (std::string fault = load_token_ids(metadata, info); !fault.empty()) return fault;
  if (const auto text = metadata.find("text"); text != metadata.end()) info.text = text->second;
  return load_rope(metadata, info);
}

std::string rope_json(const KvFileRope& rope) {
  nlohmann::ordered_json json = {{"layout", rope.layout}};
  if (rope.layout == "none") return json.dump();
  if (rope.theta > 0) json["theta"] = rope.theta;
  json["rotary_dims"] = rope.rotary_dims;
  json["first_dim"] = rope.first_dim;
  json["attention_scaling"] = rope.attention_scaling;
  if (!rope.inv_freq.empty()) json["inv_freq"] = rope.inv_freq;
  return json.dump();
}

}  // namespace

Result<KvFileInfo> describe_kv_file(const SafetensorsFile& file) {
  return describe_kv_header(file.header(), file.path());
}

Result<KvFileInfo> describe_kv_header(const SafetensorsHeader& header, std::string_view name) {
  KvFileInfo info;
  if (const std::string fault = load(header, info); !fault.empty()) {
    return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  }
  return info;
}

std::map<std::string, std::string> kv_file_metadata(const KvFileInfo& info) {
  Metadata metadata = {
      {"model", info.model.name}, {"weights", info.model.weights}, {"rope", rope_json(info.rope)}};
  if (!info.model.tokenizer.empty()) metadata["tokenizer"] = info.model.tokenizer;
  if (!info.model.adapter.empty()) metadata["adapter"] = info.model.adapter;
  if (!info.token_ids.empty()) metadata["tokens"] = nlohmann::json(info.token_ids).dump();
  if (!info.text.empty()) metadata["text"] = info.text;
  return metadata;
}

}  // namespace kvcast::manifests
