#include <fmt/format.h>

#include <algorithm>

#include "manifests/json/document.h"
#include "manifests/json/node.h"
#include "manifests/kv/rope.h"
#include "manifests/layout.h"
#include "manifests/manifest.h"
#include "manifests/manifest/checksum.h"
#include "manifests/manifest/fields.h"
#include "manifests/object.h"
#include "manifests/prefix_hash.h"
#include "manifests/safetensors/element.h"

namespace kvcast::manifests {
namespace {

constexpr size_t kMaxJsonValues = 8u << 20;  // every chunk with every plane; 64 MiB hold no more
constexpr size_t kMaxIdBytes = 1024;
constexpr uint32_t kMaxChunkTokens = 1u << 20;
constexpr uint32_t kMaxHeadsOrDim = 65535;  // 16 bits in an object's header
constexpr uint64_t kMaxChannels = 65536;    // heads x dim of a side, kernels/profile_format.md
constexpr uint32_t kMaxLayers = 1024;
constexpr uint64_t kMaxTokens = uint64_t{1} << 40;
constexpr uint32_t kMaxBaseUrls = 16;
constexpr double kMaxDecodeCost = 1e15;
constexpr uint32_t kMaxWeight = 1'000'000;

uint32_t small(const JsonNode& node, uint32_t least, uint32_t most) {
  return static_cast<uint32_t>(node.integer(least, most));
}

ObjectRef read_object_ref(const JsonNode& node) {
  return {node.member("digest").digest(), node.member("bytes").integer(1, kMaxObjectBytes)};
}

std::optional<RopeParams> read_rope(const JsonNode& model, uint32_t key_dim) {
  model.member("rope");  // null says that keys carry no position; absent says nothing
  const auto node = model.optional_member("rope");
  if (!node) return std::nullopt;
  RopeParams rope;
  const JsonNode layout = node->member("layout");
  rope.layout = layout.string(1, 32);
  layout.expect(rope.layout == "half_split" || rope.layout == "interleaved",
                "\"half_split\" or \"interleaved\"");
  rope.theta = node->member("theta").number(0, 1e300);
  rope.rotary_dims = small(node->member("rotary_dims"), 2, key_dim);
  return rope;
}

void read_geometry(const JsonNode& node, ModelIdentity& model) {
  model.layers = small(node.member("layers"), 1, kMaxLayers);
  model.key_heads = small(node.member("key_heads"), 1, kMaxHeadsOrDim);
  model.key_dim = small(node.member("key_dim"), 1, kMaxHeadsOrDim);
  model.value_heads = small(node.member("value_heads"), 0, kMaxHeadsOrDim);
  model.value_dim = small(node.member("value_dim"), 0, kMaxHeadsOrDim);
  const bool fits = uint64_t{model.key_heads} * model.key_dim <= kMaxChannels &&
                    uint64_t{model.value_heads} * model.value_dim <= kMaxChannels;
  node.expect(fits, "heads times dim of at most 65536");
}

ModelIdentity read_model(const JsonNode& node) {
  ModelIdentity model;
  model.name = node.member("name").string(0, kMaxIdBytes);
  model.weights = node.member("weights").string(1, kMaxIdBytes);
  model.tokenizer = node.member("tokenizer").string(0, kMaxIdBytes);
  if (const auto adapter = node.optional_member("adapter")) {
    model.adapter = adapter->string(0, kMaxIdBytes);
  }
  read_geometry(node.member("geometry"), model);
  const JsonNode dtype = node.member("dtype");
  model.dtype = dtype.string(1, 8);
  dtype.expect(is_kv_dtype(model.dtype), "\"F16\", \"BF16\", \"F32\", \"F8_E4M3\" or \"F8_E5M2\"");
  model.rope = read_rope(node, model.key_dim);
  if (const auto ropes = node.optional_member("ropes")) {
    model.ropes = read_ropes(*ropes, {model.layers, model.key_dim, 0});
  }
  return model;
}

std::optional<Text> read_text(const JsonNode& root, uint64_t tokens) {
  const auto node = root.optional_member("text");
  if (!node) return std::nullopt;
  Text text;
  if (const auto object = node->optional_member("object")) {
    text.object = read_object_ref(*object);
    return text;
  }
  text.tokens = node->member("tokens").integers(tokens, tokens);
  text.utf8 = node->member("utf8").string(0, kMaxManifestBytes);
  return text;
}

std::vector<BaseUrl> read_base_urls(const JsonNode& node) {
  std::vector<BaseUrl> base_urls;
  for (const JsonNode& element : node.elements(1, kMaxBaseUrls)) {
    const JsonNode url = element.member("url");
    BaseUrl base;
    base.url = url.string(1, kMaxUrlBytes);
    url.expect(is_base_url(base.url), "an http, https or relative URL that ends in a slash");
    base.priority = small(element.member("priority"), 0, UINT32_MAX);
    base.weight = small(element.member("weight"), 1, kMaxWeight);
    base_urls.push_back(std::move(base));
  }
  return base_urls;
}

PlaneRef read_plane(const JsonNode& node) {
  PlaneRef plane;
  static_cast<ObjectRef&>(plane) = read_object_ref(node);
  plane.distortion = node.member("distortion").number(0, 1);
  if (const auto agreement = node.optional_member("agreement")) {
    plane.agreement = agreement->number(0, 1);
  }
  return plane;
}

// The chunk that follows `begin`.
ChunkEntry read_chunk(const JsonNode& node, uint64_t begin, const Manifest& manifest) {
  ChunkEntry chunk;
  chunk.token_begin = begin;
  const JsonNode tokens = node.member("tokens");
  const std::vector<JsonNode> range = tokens.elements(2, 2);
  if (range.size() == 2) {
    const uint64_t most = std::min(begin + manifest.chunk_tokens, manifest.tokens);
    chunk.token_end = range[1].integer(0, kMaxTokens);
    tokens.expect(range[0].integer(0, kMaxTokens) == begin && chunk.token_end > begin &&
                      chunk.token_end <= most,
                  fmt::format("the range from {} to at most {}", begin, most));
  }
  chunk.prefix_hash = node.member("prefix_hash").digest();
  for (const JsonNode& plane : node.member("planes").elements(manifest.levels, manifest.levels)) {
    chunk.planes.push_back(read_plane(plane));
  }
  if (const auto exact = node.optional_member("exact")) chunk.exact = read_object_ref(*exact);
  chunk.decode_cost = node.member("decode_cost").number(0, kMaxDecodeCost);
  return chunk;
}

void read_chunks(const JsonNode& node, Manifest& manifest) {
  uint64_t end = 0;
  for (const JsonNode& element : node.elements(1, kMaxChunks)) {
    manifest.chunks.push_back(read_chunk(element, end, manifest));
    if (!node.is_good()) return;
    end = manifest.chunks.back().token_end;
  }
  if (end != manifest.tokens) {
    node.fail(fmt::format("they end at token {}, expected {}", end, manifest.tokens));
  }
}

std::string read_time(const JsonNode& node) {
  std::string time = node.string(1, 64);
  node.expect(is_rfc3339_utc(time), "an RFC 3339 time in UTC, such as 2026-01-31T12:00:00Z");
  return time;
}

// What says whether the rest can be understood at all.
void read_identity(const JsonNode& root, Manifest& manifest) {
  const JsonNode version = root.member("kvcast");
  if (version.integer(0, UINT32_MAX) != 1) {
    version.fail("another manifest version; this build reads version 1: use a matching kvcast");
  }
  const JsonNode codec = root.member("codec");
  manifest.codec = codec.string(1, 256);
  if (const std::string fault = codec_version_fault(manifest.codec); !fault.empty()) {
    codec.fail(fault);
  }
  for (const std::string_view reserved : {"signature", "encryption"}) {
    if (const auto node = root.optional_member(reserved)) {
      node->fail("this build cannot honour it, expected null: use a newer kvcast");
    }
  }
}

void read_root(const JsonNode& root, Manifest& manifest) {
  read_identity(root, manifest);
  const JsonNode id = root.member("id");
  manifest.id = id.string(1, kMaxNameChars);
  id.expect(is_valid_name(manifest.id), "1 to 64 of [A-Za-z0-9._-], not starting with a dot");
  const JsonNode type = root.member("type");
  manifest.type = type.string(1, 16);
  type.expect(manifest.type == "static" || manifest.type == "dynamic", "\"static\" or \"dynamic\"");
  manifest.created = read_time(root.member("created"));
  if (const auto expires = root.optional_member("expires")) manifest.expires = read_time(*expires);
  manifest.model = read_model(root.member("model"));
  root.member("codec").expect(
      manifest.codec == codec_string(manifest.model),
      fmt::format("\"{}\", as the model says", codec_string(manifest.model)));
  manifest.profile = read_object_ref(root.member("profile"));
  manifest.tokens = root.member("tokens").integer(1, kMaxTokens);
  const JsonNode chunk_tokens = root.member("chunk_tokens");
  manifest.chunk_tokens = small(chunk_tokens, 1, kMaxChunkTokens);
  chunk_tokens.expect(manifest.chunk_tokens % kPrefixBlockTokens == 0, "a multiple of 16");
  manifest.levels = small(root.member("levels"), 1, kMaxPlanes);
  manifest.raw_bytes = root.member("raw_bytes").integer(1, INT64_MAX);
  if (const auto floor_level = root.optional_member("floor_level")) {
    manifest.floor_level = small(*floor_level, 0, manifest.levels - 1);
  }
  manifest.text = read_text(root, manifest.tokens);
  manifest.base_urls = read_base_urls(root.member("base_urls"));
  read_chunks(root.member("chunks"), manifest);
  if (const auto checksum = root.optional_member("checksum"); checksum && root.is_good()) {
    const std::string expected = manifest_checksum(manifest);
    checksum->expect(checksum->string(0, 64) == expected,
                     fmt::format("\"{}\", as the other members make it: the manifest is damaged, "
                                 "fetch or pack it again (or was it edited? then leave this member "
                                 "out)",
                                 expected));
  }
}

}  // namespace

Result<Manifest> read_manifest(std::string_view json, std::string_view name) {
  const auto document = parse_json(json, {kMaxManifestBytes, kMaxJsonValues}, name);
  if (!document.ok()) return document.error();
  std::string fault;
  Manifest manifest;
  read_root(JsonNode(*document, fault), manifest);
  if (!fault.empty()) return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  return manifest;
}

}  // namespace kvcast::manifests
