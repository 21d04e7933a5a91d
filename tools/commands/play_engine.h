// The pocket engine as a play's engine: it recomputes chunks, and prefills the suffix for the first
// token. One KV cache; the play's thread and its recompute thread take turns.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "player/recompute.h"
#include "player/sink.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::tools {

class PlayEngine final : public player::Recompute {
 public:
  // Allocates the cache for all positions the model was made for, at most kMaxWarmTokens.
  PlayEngine(engine::Model model, unsigned threads);

  // Before the clock starts: how long prefills take here, for the plan.
  manifests::Status warm_up(uint64_t suffix_tokens);

  // Milliseconds from handed-over KV of `context` tokens to the logits of `rest` more.
  double first_token_ms(uint64_t context, uint64_t rest) const;

  std::optional<player::RecomputeCost> cost() const override { return cost_; }
  manifests::Result<player::RecomputeOutcome> prefill(const player::RecomputeTask& task,
                                                      std::stop_token stop) override;

  // Takes KV of the sink's first `tokens` tokens, and prefills `rest` after them.
  // Returns the last token's logits.
  manifests::Result<std::vector<float>> first_token(const player::HostKvSink& sink, uint64_t tokens,
                                                    std::span<const uint32_t> rest);

  const engine::Model& model() const { return model_; }
  engine::KvCache& cache() { return cache_; }
  unsigned threads() const { return threads_; }

 private:
  manifests::Result<double> time_prefill(uint64_t position, uint64_t tokens);
  manifests::Status reserve(uint64_t tokens);
  engine::Model model_;
  unsigned threads_;
  engine::KvCache cache_;
  uint64_t own_tokens_ = 0;  // first tokens of the cache that this engine computed from text
  double import_s_per_token_ = 0;
  std::optional<player::RecomputeCost> cost_;
};

}  // namespace kvcast::tools
