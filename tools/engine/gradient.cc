#include "tools/engine/gradient.h"

#include <algorithm>
#include <cmath>

#include "kernels/rope.h"
#include "tools/engine/backward/derivatives.h"
#include "tools/engine/forward/attention.h"
#include "tools/engine/forward/linear.h"
#include "tools/engine/forward/pointwise.h"
#include "tools/engine/load/weights.h"
#include "tools/engine/prefill.h"

namespace kvcast::engine {
namespace {

using kernels::Side;

std::vector<float> norm_rows(const std::vector<float>& from, const std::vector<float>& weight,
                             float epsilon) {
  std::vector<float> to(from.size());
  for (size_t at = 0; at < from.size(); at += weight.size()) {
    rms_norm(std::span(from).subspan(at, weight.size()), weight, epsilon, to.data() + at);
  }
  return to;
}

void add_norm_gradient(const std::vector<float>& from, const std::vector<float>& weight,
                       float epsilon, const std::vector<float>& gradient, std::vector<float>& to) {
  for (size_t at = 0; at < from.size(); at += weight.size()) {
    add_rms_norm_gradient(std::span(from).subspan(at, weight.size()), weight, epsilon,
                          gradient.data() + at, to.data() + at);
  }
}

// rows [rows][inner] * weights [inner][columns], as a gradient goes back through `linear`.
void add_back(size_t rows, const float* gradient, size_t inner, const std::vector<float>& weights,
              std::vector<float>& to) {
  const size_t columns = weights.size() / inner;
  add_product(rows, columns, inner, {gradient, inner}, {weights.data(), columns},
              {to.data(), columns});
}

// Of gradients with respect to rotated heads: those with respect to heads before RoPE.
void rotate_back(const kernels::RopeTable& rope, uint32_t dim, size_t rows,
                 std::span<float> gradient) {
  const double scaling = rope.rope().attention_scaling;  // undo divides by it
  const size_t channels = gradient.size() / rows;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t c = row * channels; c < (row + 1) * channels; c += dim) {
      rope.undo(static_cast<uint32_t>(row), gradient.subspan(c, dim));
    }
  }
  if (scaling == 1) return;
  for (float& g : gradient) g *= static_cast<float>(scaling * scaling);
}

}  // namespace

manifests::Result<ContinuationGradient> ContinuationGradient::run(
    const Model& model, KvCache& cache, uint64_t begin, std::span<const uint32_t> tokens) {
  PrefillOptions options;
  options.threads = 1;
  options.all_positions = true;
  auto ran = prefill(model, cache, begin, tokens, options);
  if (!ran.ok()) return ran.error();
  ContinuationGradient gradient(model, cache, begin, tokens.size());
  gradient.logits_ = std::move(ran->logits);
  gradient.replay(tokens);
  return gradient;
}

void ContinuationGradient::replay(std::span<const uint32_t> tokens) {
  const ModelConfig& config = model_->config();
  std::vector<float> hidden;
  for (const uint32_t token : tokens) {
    const auto row = model_->weights().embedding.begin() +
                     static_cast<std::ptrdiff_t>(size_t{token} * config.hidden);
    hidden.insert(hidden.end(), row, row + static_cast<std::ptrdiff_t>(config.hidden));
  }
  for (uint32_t layer = 0; layer < config.layers; ++layer) replay_layer(layer, hidden);
  output_ = std::move(hidden);
}

void ContinuationGradient::replay_layer(uint32_t layer, std::vector<float>& hidden) {
  const ModelConfig& config = model_->config();
  const LayerWeights& weights = model_->weights().layers[layer];
  const size_t query_channels = config.query_channels();
  LayerStates& states = layers_.emplace_back();
  states.input = hidden;
  states.queries.resize(tokens_ * query_channels);
  const std::vector<float> normed = norm_rows(hidden, weights.attention_norm, config.norm_epsilon);
  linear(tokens_, query_channels, config.hidden, {normed.data(), config.hidden}, weights.query,
         {states.queries.data(), query_channels});
  const kernels::RopeTable rope(config.rope, begin_, static_cast<uint32_t>(tokens_));
  for (size_t at = 0; at < states.queries.size(); at += config.head_dim) {
    rope.redo(static_cast<uint32_t>(at / query_channels), {&states.queries[at], config.head_dim});
  }
  std::vector<float> attended(states.queries.size());
  AttentionScratch scratch;
  for (size_t row = 0; row < tokens_; row += kTileRows) {
    attend(config, *cache_, layer, begin_ + row, std::min(kTileRows, tokens_ - row),
           {states.queries.data() + row * query_channels, query_channels},
           {attended.data() + row * query_channels, query_channels}, scratch);
  }
  linear(tokens_, config.hidden, query_channels, {attended.data(), query_channels}, weights.output,
         {hidden.data(), config.hidden}, Into::kAdd);
  states.middle = hidden;

  const std::vector<float> fed = norm_rows(hidden, weights.mlp_norm, config.norm_epsilon);
  const size_t inner = config.intermediate;
  std::vector<float> gate(tokens_ * inner), up(tokens_ * inner);
  linear(tokens_, inner, config.hidden, {fed.data(), config.hidden}, weights.gate,
         {gate.data(), inner});
  linear(tokens_, inner, config.hidden, {fed.data(), config.hidden}, weights.up,
         {up.data(), inner});
  silu_multiply(gate, up.data());
  linear(tokens_, config.hidden, inner, {gate.data(), inner}, weights.down,
         {hidden.data(), config.hidden}, Into::kAdd);
}

void ContinuationGradient::backward(std::span<const uint32_t> drawn, const Use& use) const {
  std::vector<float> gradient = output_gradient(drawn);
  for (uint32_t layer = model_->config().layers; layer-- > 0;) {
    feed_forward_backward(layer, gradient);
    attention_backward(layer, gradient, use);
  }
}

std::vector<float> ContinuationGradient::output_gradient(std::span<const uint32_t> drawn) const {
  const ModelConfig& config = model_->config();
  std::vector<float> of_logits = logits_;
  for (size_t t = 0; t < tokens_; ++t) {
    const auto row = std::span(of_logits).subspan(t * config.vocabulary, config.vocabulary);
    softmax(row, row.size());
    for (float& p : row) p = -p;
    row[drawn[t]] += 1;
  }
  std::vector<float> of_normed(output_.size()), gradient(output_.size());
  add_back(tokens_, of_logits.data(), config.vocabulary, model_->weights().logits_matrix(),
           of_normed);
  add_norm_gradient(output_, model_->weights().final_norm, config.norm_epsilon, of_normed,
                    gradient);
  return gradient;
}

void ContinuationGradient::feed_forward_backward(uint32_t layer,
                                                 std::vector<float>& gradient) const {
  const ModelConfig& config = model_->config();
  const LayerWeights& weights = model_->weights().layers[layer];
  const std::vector<float>& middle = layers_[layer].middle;
  const size_t hidden = config.hidden, inner = config.intermediate;
  const std::vector<float> fed = norm_rows(middle, weights.mlp_norm, config.norm_epsilon);
  std::vector<float> gate(tokens_ * inner), up(tokens_ * inner), of_product(tokens_ * inner);
  linear(tokens_, inner, hidden, {fed.data(), hidden}, weights.gate, {gate.data(), inner});
  linear(tokens_, inner, hidden, {fed.data(), hidden}, weights.up, {up.data(), inner});
  add_back(tokens_, gradient.data(), hidden, weights.down, of_product);
  silu_multiply_gradient(gate, up.data(), of_product.data());
  std::vector<float> of_fed(middle.size());
  add_back(tokens_, gate.data(), inner, weights.gate, of_fed);
  add_back(tokens_, up.data(), inner, weights.up, of_fed);
  add_norm_gradient(middle, weights.mlp_norm, config.norm_epsilon, of_fed, gradient);
}

void ContinuationGradient::attention_backward(uint32_t layer, std::vector<float>& gradient,
                                              const Use& use) const {
  const ModelConfig& config = model_->config();
  const LayerWeights& weights = model_->weights().layers[layer];
  const LayerStates& states = layers_[layer];
  const size_t seen = begin_ + tokens_, dim = config.head_dim, channels = config.kv_channels(),
               query_channels = config.query_channels();
  const float scale = 1 / std::sqrt(static_cast<float>(dim));
  std::vector<float> of_attended(tokens_ * query_channels), of_queries(tokens_ * query_channels);
  add_back(tokens_, gradient.data(), config.hidden, weights.output, of_attended);

  std::vector<float> of_keys(seen * channels), of_values(seen * channels);
  std::vector<float> probabilities(tokens_ * seen), of_scores(tokens_ * seen);
  for (size_t head = 0; head < config.heads; ++head) {
    const size_t at = head * dim, kv_at = head / (config.heads / config.kv_heads) * dim;
    const ConstRows keys{cache_->row(layer, Side::kKey, 0) + kv_at, channels};
    const ConstRows values{cache_->row(layer, Side::kValue, 0) + kv_at, channels};
    const ConstRows queries{states.queries.data() + at, query_channels};
    const ConstRows of_head{of_attended.data() + at, query_channels};
    multiply_transposed(tokens_, seen, dim, scale, queries, keys, {probabilities.data(), seen});
    multiply_transposed(tokens_, seen, dim, 1, of_head, values, {of_scores.data(), seen});
    for (size_t t = 0; t < tokens_; ++t) {
      const auto row = std::span(probabilities).subspan(t * seen, seen);
      softmax(row, begin_ + t + 1);
      softmax_gradient(row, &of_scores[t * seen]);
    }
    for (float& s : of_scores) s *= scale;
    add_transposed_product(seen, dim, tokens_, {probabilities.data(), seen}, of_head,
                           {of_values.data() + kv_at, channels});
    add_transposed_product(seen, dim, tokens_, {of_scores.data(), seen}, queries,
                           {of_keys.data() + kv_at, channels});
    add_product(tokens_, dim, seen, {of_scores.data(), seen}, keys,
                {of_queries.data() + at, query_channels});
  }
  use(layer, Side::kKey, std::span(of_keys).first(begin_ * channels));
  use(layer, Side::kValue, std::span(of_values).first(begin_ * channels));

  const kernels::RopeTable rope(config.rope, begin_, static_cast<uint32_t>(tokens_));
  const auto own_keys = std::span(of_keys).subspan(begin_ * channels);
  rotate_back(rope, config.head_dim, tokens_, of_queries);
  rotate_back(rope, config.head_dim, tokens_, own_keys);
  std::vector<float> of_normed(states.input.size());
  add_back(tokens_, of_queries.data(), query_channels, weights.query, of_normed);
  add_back(tokens_, own_keys.data(), channels, weights.key, of_normed);
  add_back(tokens_, of_values.data() + begin_ * channels, channels, weights.value, of_normed);
  add_norm_gradient(states.input, weights.attention_norm, config.norm_epsilon, of_normed, gradient);
}

}  // namespace kvcast::engine
