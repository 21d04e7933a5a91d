// How much a changed KV cache changes what the model says next.
#pragma once

#include <cstdint>
#include <span>

#include "manifests/result.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::engine {

struct Comparison {
  uint64_t positions = 0;
  double mean_kl = 0;         // KL(reference || candidate) of next-token distributions, in nats
  double top1_agreement = 0;  // share of positions with the same most likely token
  double reference_perplexity = 1;  // of the targets; 1 without targets
  double perplexity = 1;
};

// Logits [positions][vocabulary]; targets[i] is the token that followed position i, and the last
// may be missing.
Comparison compare_distributions(std::span<const float> reference, std::span<const float> candidate,
                                 size_t vocabulary, std::span<const uint32_t> targets);

// Feeds both caches, which hold tokens [0, begin), the same continuation (teacher forcing) and
// compares what they predict after each of its tokens. Overwrites both from `begin` on; they need
// room for the continuation. Memory: all logits, 8 bytes * continuation * vocabulary.
manifests::Result<Comparison> compare_caches(const Model& model, KvCache& reference,
                                             KvCache& candidate, uint64_t begin,
                                             std::span<const uint32_t> continuation,
                                             unsigned threads = 0);

}  // namespace kvcast::engine
