// A KV cache in a safetensors file: layers.<i>.key and layers.<i>.value, [tokens, kv_heads,
// head_dim], F16, BF16 or F32; metadata: model, tokens (JSON list of ids), rope (below), and
// optionally weights, tokenizer, adapter, text.
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

// RoPE as the file states it. Metadata key `rope`: JSON {"layout", "theta", "rotary_dims",
// "first_dim", "attention_scaling", "inv_freq": [...]}; only layout and one of theta, inv_freq are
// required. "layout": "none" for keys without position.
struct KvFileRope {
  std::string layout = "none";
  double theta = 0;
  uint32_t rotary_dims = 0, first_dim = 0;
  double attention_scaling = 1;
  std::vector<double> inv_freq;  // empty: theta^(-2i/rotary_dims)
};

struct KvFileInfo {
  ModelIdentity model;  // weights falls back to the model's name
  KvFileRope rope;
  uint64_t tokens = 0;
  std::vector<uint32_t> token_ids;  // empty when the file has none
  std::string text;
};

// Shapes, types and metadata checked; errors name the tensor or the metadata key. All layers are of
// one shape and type; values may have no heads or dims (geometry then says 0 and 0). Defaults are
// filled in: model.rope and rope.rotary_dims are what the cache uses.
Result<KvFileInfo> describe_kv_file(const SafetensorsFile& file);

// The same of a header that came from elsewhere; `name` opens the error message.
Result<KvFileInfo> describe_kv_header(const SafetensorsHeader& header, std::string_view name);

// The metadata describe_kv_file reads back.
std::map<std::string, std::string> kv_file_metadata(const KvFileInfo& info);

std::string key_tensor_name(uint32_t layer);
std::string value_tensor_name(uint32_t layer);

}  // namespace kvcast::manifests
