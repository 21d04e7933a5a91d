#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "manifests/digest.h"
#include "manifests/kv/rope.h"
#include "manifests/manifest.h"
#include "manifests/manifest/checksum.h"

namespace kvcast::manifests {
namespace {

using nlohmann::ordered_json;

ordered_json to_json(const ObjectRef& object) {
  return {{"digest", object.digest.hex()}, {"bytes", object.bytes}};
}

ordered_json to_json(const ModelIdentity& model) {
  ordered_json json = {
      {"name", model.name}, {"weights", model.weights}, {"tokenizer", model.tokenizer}};
  if (!model.adapter.empty()) json["adapter"] = model.adapter;
  json["geometry"] = {{"layers", model.layers},
                      {"key_heads", model.key_heads},
                      {"key_dim", model.key_dim},
                      {"value_heads", model.value_heads},
                      {"value_dim", model.value_dim}};
  json["dtype"] = model.dtype;
  json["rope"] = nullptr;
  if (model.rope) {
    json["rope"] = {{"layout", model.rope->layout},
                    {"theta", model.rope->theta},
                    {"rotary_dims", model.rope->rotary_dims}};
  }
  if (model.ropes.size() == 1) json["ropes"] = {ropes_json(model.ropes)};
  if (model.ropes.size() > 1) json["ropes"] = ropes_json(model.ropes);
  return json;
}

ordered_json to_json(const Text& text) {
  if (text.object) return {{"object", to_json(*text.object)}};
  return {{"tokens", text.tokens}, {"utf8", text.utf8}};
}

ordered_json to_json(const std::vector<BaseUrl>& base_urls) {
  ordered_json json = ordered_json::array();
  for (const BaseUrl& base : base_urls) {
    json.push_back({{"url", base.url}, {"priority", base.priority}, {"weight", base.weight}});
  }
  return json;
}

ordered_json to_json(const ChunkEntry& chunk) {
  ordered_json planes = ordered_json::array();
  for (const PlaneRef& plane : chunk.planes) {
    ordered_json json = to_json(static_cast<const ObjectRef&>(plane));
    json["distortion"] = plane.distortion;
    if (plane.agreement) json["agreement"] = *plane.agreement;
    planes.push_back(std::move(json));
  }
  ordered_json json = {{"tokens", {chunk.token_begin, chunk.token_end}},
                       {"prefix_hash", chunk.prefix_hash.hex()},
                       {"planes", std::move(planes)}};
  if (chunk.exact) json["exact"] = to_json(*chunk.exact);
  json["decode_cost"] = chunk.decode_cost;
  return json;
}

// Members and chunks a line each, so that a person can read the file and compare two.
class Lines {
 public:
  void add(const char* key, const ordered_json& value) {
    text_ += text_.empty() ? "{" : ",\n";
    text_ += ordered_json(key).dump() + ":" + value.dump();
  }
  std::string finish(const std::vector<ChunkEntry>& chunks) {
    text_ += ",\n\"chunks\":[";
    for (const ChunkEntry& chunk : chunks) {
      text_ += &chunk == chunks.data() ? "\n" : ",\n";
      text_ += to_json(chunk).dump();
    }
    return text_ + "\n]}\n";
  }

 private:
  std::string text_;
};

// Without a checksum where that is empty.
std::string write(const Manifest& manifest, const std::string& checksum) {
  Lines lines;
  lines.add("kvcast", 1);
  lines.add("id", manifest.id);
  lines.add("type", manifest.type);
  lines.add("codec", manifest.codec);
  lines.add("created", manifest.created);
  if (!manifest.expires.empty()) lines.add("expires", manifest.expires);
  lines.add("model", to_json(manifest.model));
  lines.add("profile", to_json(manifest.profile));
  lines.add("tokens", manifest.tokens);
  lines.add("chunk_tokens", manifest.chunk_tokens);
  lines.add("levels", manifest.levels);
  lines.add("raw_bytes", manifest.raw_bytes);
  if (manifest.floor_level) lines.add("floor_level", *manifest.floor_level);
  if (manifest.text) lines.add("text", to_json(*manifest.text));
  lines.add("base_urls", to_json(manifest.base_urls));
  lines.add("signature", nullptr);
  lines.add("encryption", nullptr);
  if (!checksum.empty()) lines.add("checksum", checksum);
  return lines.finish(manifest.chunks);
}

}  // namespace

std::string manifest_checksum(const Manifest& manifest) {
  const std::string text = write(manifest, {});
  return fmt::format("{:016x}", xxh3(std::as_bytes(std::span(text))));
}

std::string write_manifest(const Manifest& manifest) {
  try {
    return write(manifest, manifest_checksum(manifest));
  } catch (const ordered_json::exception& error) {
    throw std::invalid_argument(std::string("write_manifest: ") + error.what());
  }
}

}  // namespace kvcast::manifests
