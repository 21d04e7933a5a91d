// CacheGen's public codec (UChi-JCL/CacheGen, LMCache's cachegen_encoder.py): symmetric
// quantisation by the absolute maximum of each token and layer, then static arithmetic coding by a
// CDF for each (layer, K|V, channel) that every object carries. No anchors and no deltas: the
// public code has none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "tools/engine/kv_cache.h"

namespace kvcast::eval {

// Bins of each layer's keys and values.
struct CacheGenLevel {
  std::vector<uint32_t> key_bins, value_bins;
};

// Levels 1 (smallest) to 3 of its configuration for Mistral 7B, whose 32 layers become `layers`:
// boundaries scaled and rounded up.
CacheGenLevel cachegen_level(int level, uint32_t layers);

// One (layer, K|V): symbols 0 to bins - 2, [token][channel], and a bf16 scale a token.
struct CacheGenTensor {
  uint32_t bins = 0;
  std::vector<uint8_t> symbols;
  std::vector<float> scales;  // absolute maxima, rounded to bf16
};
CacheGenTensor cachegen_quantise(std::span<const float> values, uint32_t channels, uint32_t bins);
std::vector<float> cachegen_dequantise(const CacheGenTensor& tensor);  // rounded to bf16

// Everything in one object of some tokens; what pickle adds is not counted.
struct CacheGenBytes {
  uint64_t payload = 0;  // a stream for each (layer, K|V, channel) and 256 tokens
  uint64_t lengths = 0;  // int32 a stream
  uint64_t cdfs = 0;     // uint16 [2 * layers][channels][largest bins + 1]
  uint64_t scales = 0;   // bf16 a token, layer and side
  uint64_t total() const { return payload + lengths + cdfs + scales; }
};

// Objects of `object_tokens` tokens each, summed over the context.
CacheGenBytes cachegen_bytes(std::span<const CacheGenTensor> tensors, uint32_t channels,
                             uint64_t tokens, uint64_t object_tokens);

}  // namespace kvcast::eval
