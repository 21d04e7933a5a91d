// A KV cache in a safetensors file: layers.<i>.key and layers.<i>.value, [tokens, kv_heads,
// head_dim]; metadata: model, tokens, rope, and optionally weights, tokenizer, adapter, text.
// Page: manifests/kv_file_format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/manifest.h"
#include "manifests/result.h"
#include "manifests/safetensors.h"

namespace kvcast::manifests {

struct KvFileInfo {
  ModelIdentity model;            // weights falls back to the model's name
  std::vector<StatedRope> ropes;  // empty: keys without position
  uint64_t tokens = 0;
  std::vector<uint32_t> token_ids;  // empty when the file has none
  std::string text;
};

// Shapes, types and metadata checked; errors name the tensor or the metadata key. All layers are of
// one shape and type; values may be absent or have no heads or dims (geometry then says 0 and 0).
// Defaults are filled in: model.rope, model.ropes and rotary dims are what the cache uses.
Result<KvFileInfo> describe_kv_file(const SafetensorsFile& file);

// The same of a header that came from elsewhere; `name` opens the error message.
Result<KvFileInfo> describe_kv_header(const SafetensorsHeader& header, std::string_view name);

// The metadata describe_kv_file reads back.
std::map<std::string, std::string> kv_file_metadata(const KvFileInfo& info);

std::string key_tensor_name(uint32_t layer);
std::string value_tensor_name(uint32_t layer);

}  // namespace kvcast::manifests
