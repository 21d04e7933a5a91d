// What a Hugging Face config.json says about a model of the Llama architecture. Everything this
// runner does not implement (biases, other activations, other RoPE scalings, ...) is refused by the
// key's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kernels/geometry.h"
#include "kernels/profile.h"
#include "manifests/result.h"
#include "manifests/rope.h"

namespace kvcast::engine {

// Limits on sizes a file may state: each is several times the largest public model of this
// architecture.
inline constexpr uint32_t kMaxHidden =
    1u << 17;                                // hidden and intermediate sizes; Llama 3 405B: 53,248
inline constexpr uint32_t kMaxHeads = 1024;  // 405B: 128
inline constexpr uint32_t kMaxHeadDim = 1024;         // 128 everywhere
inline constexpr uint32_t kMaxVocabulary = 1u << 20;  // 128,256
inline constexpr uint32_t kMaxPositions = 1u << 26;   // 131,072; the longest claims are 10 million

struct ModelConfig {
  uint32_t layers = 0, hidden = 0, intermediate = 0;
  uint32_t heads = 0, kv_heads = 0, head_dim = 0;
  uint32_t vocabulary = 0;
  uint32_t max_positions = 0;
  float norm_epsilon = 0;
  bool tied_embeddings = false;
  manifests::StatedRope stated_rope;  // half split, all of a head
  kernels::Rope rope;                 // the same
  std::optional<uint32_t> bos;        // a context starts with it
  std::vector<uint32_t> eos;          // any of them ends a text

  uint32_t query_channels() const { return heads * head_dim; }
  uint32_t kv_channels() const { return kv_heads * head_dim; }
  kernels::Geometry geometry() const { return {layers, kv_heads, head_dim, kv_heads, head_dim}; }
};

// `name` (the file) opens the error message, which names the key and what is supported.
manifests::Result<ModelConfig> parse_config(std::string_view json, std::string_view name);

}  // namespace kvcast::engine
