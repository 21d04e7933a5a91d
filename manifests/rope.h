// Rotary position embedding as a KV file, a manifest or a model's config.json states it: names and
// numbers, from which kernels compute frequencies. Page: manifests/kv_file_format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

// Of config.json's `rope_scaling` (or `rope_parameters`), in the terms of kernels/rope.h.
struct RopeScaling {
  std::string rule;  // "linear", "dynamic", "yarn", "llama3", "longrope"
  double factor = 1;
  double trained_positions = 0;  // original_max_position_embeddings
  double context_tokens = 0;     // dynamic, longrope: length of the context the cache is of
  double low_freq_factor = 1, high_freq_factor = 4;
  double beta_fast = 32, beta_slow = 1;
  bool truncate = true;
  double mscale = 0, mscale_all_dim = 0;  // 0: not stated
  std::optional<double> attention_factor = {};
  std::vector<double> short_factor = {}, long_factor = {};
  bool operator==(const RopeScaling&) const = default;
};

struct StatedRope {
  std::string layout;  // "half_split", "interleaved"
  double theta = 0;    // 0: inv_freq says all
  uint32_t rotary_dims = 0, first_dim = 0;
  std::vector<double> inv_freq = {};             // overrules theta and scaling; empty: they say
  std::optional<RopeScaling> scaling = {};       // absent: theta^(-2i/rotary_dims)
  std::optional<double> attention_scaling = {};  // absent: what the scaling's rule says, else 1
  std::vector<uint32_t> layers = {};             // ascending; empty: all
  bool operator==(const StatedRope&) const = default;
};

// The keys a config is read for.
struct RopedKeys {
  uint32_t layers = 0, key_dim = 0;
  uint64_t tokens = 0;  // of the context; rules that depend on it need it
};

// What a Hugging Face config.json says of the keys; empty: no layer rotates them. `layout` is the
// engine's choice, not the config's. `name` opens an error, which names the key and the way out.
Result<std::vector<StatedRope>> ropes_of_config(std::string_view config_json,
                                                std::string_view layout, const RopedKeys& keys,
                                                std::string_view name);

}  // namespace kvcast::manifests
