// The manifest of a presentation. Format: manifests/manifest_format.md,
// manifests/manifest.schema.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/digest.h"
#include "manifests/result.h"
#include "manifests/rope.h"

namespace kvcast::manifests {

inline constexpr size_t kMaxManifestBytes = 64u << 20;  // a million tokens in chunks of 16 fit
inline constexpr uint32_t kMaxChunks = 65536;
inline constexpr uint32_t kMaxPlanes = 8;

struct ObjectRef {
  Digest digest;
  uint64_t bytes = 0;
  bool operator==(const ObjectRef&) const = default;
};

struct PlaneRef : ObjectRef {
  double distortion = 0;  // of level n = planes 0..n, relative to no data at all: D/D0 in [0, 1]
  std::optional<double> agreement;  // expected top-1 agreement, where the profile is calibrated
  bool operator==(const PlaneRef&) const = default;
};

struct ChunkEntry {
  uint64_t token_begin = 0, token_end = 0;
  Digest prefix_hash;  // of tokens [0, token_end) rounded down to a block; zeros without tokens
  std::vector<PlaneRef> planes;
  std::optional<ObjectRef> exact;
  double decode_cost = 1;  // of one plane, relative: elements in millions
  bool operator==(const ChunkEntry&) const = default;
};

struct RopeParams {
  std::string layout;  // "half_split", "interleaved"; of the first kind of layer
  double theta = 0;    // informative; the profile's frequencies decide
  uint32_t rotary_dims = 0;
  bool operator==(const RopeParams&) const = default;
};

struct ModelIdentity {
  std::string name;       // for people
  std::string weights;    // id of the weights, such as their SHA-256: what a player compares
  std::string tokenizer;  // id of the tokenizer; may be empty
  std::string adapter;    // LoRA id; empty for none
  uint32_t layers = 0, key_heads = 0, key_dim = 0, value_heads = 0, value_dim = 0;
  std::string dtype;  // "F16", "BF16", "F32", "F8_E4M3", "F8_E5M2"
  std::optional<RopeParams> rope;
  std::vector<StatedRope> ropes;  // where `rope` does not say all; else empty
  bool operator==(const ModelIdentity&) const = default;
};

// Sets `rope` and `ropes` to what these say, and back.
void state_ropes(const std::vector<StatedRope>& ropes, ModelIdentity& model);
std::vector<StatedRope> stated_ropes(const ModelIdentity& model);

struct Text {
  std::vector<uint32_t> tokens;     // inline; empty if by digest or absent
  std::string utf8;                 // may be empty
  std::optional<ObjectRef> object;  // a text object instead
  bool operator==(const Text&) const = default;
};

struct BaseUrl {
  std::string url;        // of the tenant's root; relative ones resolve against the manifest's URL
  uint32_t priority = 1;  // lower first
  uint32_t weight = 1;    // share among equals
  bool operator==(const BaseUrl&) const = default;
};

struct Manifest {
  std::string id;
  std::string codec;             // manifests/manifest_format.md, "Codec string"
  std::string type = "static";   // or "dynamic": chunks are still being appended
  std::string created, expires;  // RFC 3339 UTC; expires may be empty
  ModelIdentity model;
  ObjectRef profile;
  uint64_t tokens = 0;
  uint32_t chunk_tokens = 0;
  uint32_t levels = 0;
  uint64_t raw_bytes = 0;
  std::optional<uint32_t> floor_level;  // of the last chunk
  std::optional<Text> text;             // absent: --no-text
  std::vector<BaseUrl> base_urls;
  std::vector<ChunkEntry> chunks;
  bool operator==(const Manifest&) const = default;
};

// "kvc.1.BF16.32.8x128.8x128.half_split", from the model's type, geometry and RoPE: a player that
// does not know the string has no decoder for the objects.
std::string codec_string(const ModelIdentity& model);

// JSON text, one line a chunk, with a checksum. Same manifest, same bytes. What read_manifest would
// refuse is the caller's bug; strings that are not UTF-8 throw std::invalid_argument.
std::string write_manifest(const Manifest& manifest);

// Errors name the JSON path, what was found and what was expected; a checksum that does not fit is
// one. Unknown keys are ignored; the
// reserved ones `signature` and `encryption` are refused when not null, since this version cannot
// honour them.
Result<Manifest> read_manifest(std::string_view json, std::string_view name);

}  // namespace kvcast::manifests
