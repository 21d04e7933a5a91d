// Running a model over tokens, starting from a cache that already holds everything before them.
// Threads: prefill cuts the work into tiles of rows and runs OpenBLAS on one thread in each, so
// results do not depend on how many threads there are. Calls on different caches may run at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "manifests/result.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::engine {

// Queries of positions [first_position, ...): [token][head][dim], RoPE applied; valid during the
// call.
using QueryObserver =
    std::function<void(uint32_t layer, uint64_t first_position, std::span<const float> queries)>;

struct PrefillOptions {
  unsigned threads = 0;        // 0: one per core
  bool all_positions = false;  // logits of every token instead of the last
  std::stop_token stop = {};   // asked before every layer of every block of 1,024 tokens
  std::function<void(uint64_t tokens_done)> on_progress =
      {};                         // after each block, on the calling thread
  QueryObserver on_queries = {};  // each layer's, of each block, on the calling thread
};

struct Prefill {
  bool stopped = false;
  uint64_t tokens =
      0;  // how many of the tokens are in the cache in all layers; fewer only if stopped
  std::vector<float> logits;  // [1 or tokens][vocabulary]; empty if stopped
};

// Computes tokens at positions [begin, begin + tokens.size()), at least one, of a context whose [0,
// begin) is in the cache, and writes their keys and values there. Other tokens of the cache are
// neither read nor written, so they may be filled meanwhile. Whole or in pieces, the results agree
// to rounding. kUsage if positions exceed the cache or the model, kCorrupt if a token is outside
// the vocabulary.
manifests::Result<Prefill> prefill(const Model& model, KvCache& cache, uint64_t begin,
                                   std::span<const uint32_t> tokens,
                                   const PrefillOptions& options = {});

// The token with the largest logit; the first of equals.
uint32_t most_likely(std::span<const float> logits);

struct ContinueOptions {
  unsigned threads = 0;
  bool stop_at_eos = true;    // the end-of-text token is left out
  std::stop_token stop = {};  // ends it with the tokens so far
};

// Greedy decoding: `logits` are of the last of the cache's first `position` tokens. At most `count`
// tokens; the cache needs room for all but the last.
manifests::Result<std::vector<uint32_t>> continue_greedily(const Model& model, KvCache& cache,
                                                           uint64_t position,
                                                           std::span<const float> logits,
                                                           size_t count,
                                                           const ContinueOptions& options = {});

}  // namespace kvcast::engine
