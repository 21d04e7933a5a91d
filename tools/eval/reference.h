// One context and what the model says after it: what every scheme is measured against.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::eval {

struct Reference {
  std::vector<uint32_t> tokens;        // of the context
  std::vector<uint32_t> continuation;  // fed after it, whatever the model would have said
  engine::KvCache cache;               // the context's, values of bf16; room for the continuation
  std::vector<float> logits;           // after each token of the continuation
};

struct Verdict {
  double mean_kl = 0;         // nats, KL(reference || candidate)
  double top1_agreement = 0;  // share of positions
  double loss = 0;            // nats a token of the continuation; perplexity = e^loss
};

// Prefills the first `context_tokens` of `tokens`; the others, at least 2, are the continuation.
manifests::Result<Reference> make_reference(const engine::Model& model,
                                            std::span<const uint32_t> tokens,
                                            uint64_t context_tokens, unsigned threads);

// The same from a KV file with token ids, whose last `continuation` tokens become that.
manifests::Result<Reference> load_reference(const engine::Model& model, const std::string& path,
                                            uint64_t continuation, unsigned threads);

// `candidate` holds the context; it is overwritten behind it.
manifests::Result<Verdict> judge(const engine::Model& model, const Reference& reference,
                                 engine::KvCache& candidate, unsigned threads);

}  // namespace kvcast::eval
