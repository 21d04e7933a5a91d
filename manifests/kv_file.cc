#include "manifests/kv_file.h"

#include <fmt/format.h>

#include "manifests/json/document.h"
#include "manifests/json/node.h"
#include "manifests/kv/rope.h"
#include "manifests/kv/tensors.h"

namespace kvcast::manifests {
namespace {

using Metadata = std::map<std::string, std::string>;

constexpr size_t kMaxIdBytes = 1024;        // as in a manifest
constexpr size_t kMaxRopeValues = 400'000;  // a frequency for each pair of the widest head, tenfold
constexpr size_t kMaxRopeBytes = 8u << 20;
constexpr size_t kRopeDepth = 16;  // a config.json within

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

std::string load_rope(const Metadata& metadata, KvFileInfo& info) {
  const auto found = metadata.find("rope");
  if (found == metadata.end()) {
    return "metadata rope: missing; expected a layout and theta, such as "
           "{\"layout\":\"half_split\",\"theta\":10000}, or {\"layout\":\"none\"} for keys without "
           "position: manifests/kv_file_format.md";
  }
  const auto document =
      parse_json(found->second, {kMaxRopeBytes, kMaxRopeValues, kRopeDepth}, "metadata rope");
  if (!document.ok()) return document.error().message;
  std::string fault;
  const ModelIdentity& model = info.model;
  info.ropes = read_ropes(JsonNode(*document, fault), {model.layers, model.key_dim, info.tokens});
  if (!fault.empty()) return "metadata rope: " + fault;
  state_ropes(info.ropes, info.model);
  return fault;
}

std::string load(const SafetensorsHeader& header, KvFileInfo& info) {
  if (std::string fault = load_tensors(header, info); !fault.empty()) return fault;
  const Metadata& metadata = header.metadata;
  if (std::string fault = load_names(metadata, info.model); !fault.empty()) return fault;
  if (std::string fault = load_token_ids(metadata, info); !fault.empty()) return fault;
  if (const auto text = metadata.find("text"); text != metadata.end()) info.text = text->second;
  return load_rope(metadata, info);
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
  Metadata metadata = {{"model", info.model.name},
                       {"weights", info.model.weights},
                       {"rope", ropes_json(info.ropes).dump()}};
  if (!info.model.tokenizer.empty()) metadata["tokenizer"] = info.model.tokenizer;
  if (!info.model.adapter.empty()) metadata["adapter"] = info.model.adapter;
  if (!info.token_ids.empty()) metadata["tokens"] = nlohmann::json(info.token_ids).dump();
  if (!info.text.empty()) metadata["text"] = info.text;
  return metadata;
}

}  // namespace kvcast::manifests
