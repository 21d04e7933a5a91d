// How what a model says after a context depends on the context's keys and values, by
// back-propagation. With tokens drawn from the model's own predictions, the second moments of these
// gradients are the Fisher information: half of it is what small errors in keys and values cost in
// KL (Amari 1998; Martens 2020, section 8).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/result.h"
#include "tools/engine/kv_cache.h"
#include "tools/engine/model.h"

namespace kvcast::engine {

class ContinuationGradient {
 public:
  // Runs `tokens` at positions [begin, begin + tokens.size()) over the cache that holds [0, begin),
  // as prefill does, and keeps what happened: some 5 * hidden floats a token and layer. Model and
  // cache must outlive it and the cache must not change.
  static manifests::Result<ContinuationGradient> run(const Model& model, KvCache& cache,
                                                     uint64_t begin,
                                                     std::span<const uint32_t> tokens);

  const std::vector<float>& logits() const { return logits_; }  // [token][vocabulary]

  // use(layer, side, rows): rows are [begin][kv channels], from the last layer down; keys as in the
  // cache, RoPE applied.
  using Use = std::function<void(uint32_t layer, kernels::Side side, std::span<const float> rows)>;
  // The gradient of the log-likelihoods' sum, drawn[t] being the token after token t.
  void backward(std::span<const uint32_t> drawn, const Use& use) const;

 private:
  struct LayerStates {
    std::vector<float> input, middle;  // [token][hidden]: of the layer, of its feed-forward part
    std::vector<float> queries;        // [token][query channels], RoPE applied
  };

  ContinuationGradient(const Model& model, const KvCache& cache, uint64_t begin, size_t tokens)
      : model_(&model), cache_(&cache), begin_(begin), tokens_(tokens) {}
  void replay(std::span<const uint32_t> tokens);
  void replay_layer(uint32_t layer, std::vector<float>& hidden);
  std::vector<float> output_gradient(std::span<const uint32_t> drawn) const;
  void feed_forward_backward(uint32_t layer, std::vector<float>& gradient) const;
  void attention_backward(uint32_t layer, std::vector<float>& gradient, const Use& use) const;

  const Model* model_;
  const KvCache* cache_;
  uint64_t begin_;
  size_t tokens_;
  std::vector<float> logits_;
  std::vector<LayerStates> layers_;
  std::vector<float> output_;  // [token][hidden]: before the last norm
};

}  // namespace kvcast::engine
