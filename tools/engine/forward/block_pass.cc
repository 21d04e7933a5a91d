#include "tools/engine/forward/block_pass.h"

#include <algorithm>

#include "tools/engine/forward/pointwise.h"

namespace kvcast::engine {

using kernels::Side;

BlockPass::BlockPass(const ModelConfig& config, const Weights& weights, KvCache& cache,
                     Workers& workers, size_t most_tokens)
    : config_(config),
      weights_(weights),
      cache_(cache),
      workers_(workers),
      rope_(config.rope, 0, 0) {
  hidden_.resize(most_tokens * config.hidden);
  queries_.resize(most_tokens * config.query_channels());
  scratch_.resize(workers.count());
  const size_t rows = std::min(kTileRows, most_tokens);
  for (Scratch& scratch : scratch_) {
    scratch.normed.resize(rows * config.hidden);
    scratch.attended.resize(rows * config.query_channels());
    scratch.gate.resize(rows * config.intermediate);
    scratch.up.resize(rows * config.intermediate);
  }
}

void BlockPass::start(uint64_t begin, std::span<const uint32_t> tokens) {
  begin_ = begin;
  tokens_ = tokens.size();
  rope_ = kernels::RopeTable(config_.rope, begin, static_cast<uint32_t>(tokens.size()));
  for (size_t row = 0; row < tokens_; ++row) {
    const float* embedding = weights_.embedding.data() + size_t{tokens[row]} * config_.hidden;
    std::copy_n(embedding, config_.hidden, hidden_rows(row).data);
  }
}

void BlockPass::project_layer(uint32_t layer) {
  workers_.run(tiles(),
               [&](size_t i, unsigned worker) { project(layer, tile(i), scratch_[worker]); });
}

void BlockPass::finish_layer(uint32_t layer) {
  workers_.run(tiles(), [&](size_t i, unsigned worker) {
    attend_and_feed(layer, tile(i), scratch_[worker]);
  });
}

void BlockPass::logits(size_t first, float* to) {
  workers_.run(tiles(), [&](size_t i, unsigned worker) {
    const size_t begin = std::max(tile(i).begin, first), end = tile(i).begin + tile(i).rows;
    if (begin >= end) return;
    std::vector<float>& normed = scratch_[worker].normed;
    norm_rows(begin, end - begin, weights_.final_norm, normed);
    linear(end - begin, config_.vocabulary, config_.hidden, {normed.data(), config_.hidden},
           weights_.logits_matrix(),
           {to + (begin - first) * config_.vocabulary, config_.vocabulary});
  });
}

BlockPass::Tile BlockPass::tile(size_t index) const {
  const size_t begin = index * kTileRows;
  return {begin, std::min(kTileRows, tokens_ - begin)};
}

void BlockPass::norm_rows(size_t first, size_t rows, const std::vector<float>& weight,
                          std::vector<float>& to) {
  for (size_t row = 0; row < rows; ++row) {
    rms_norm({hidden_rows(first + row).data, config_.hidden}, weight, config_.norm_epsilon,
             to.data() + row * config_.hidden);
  }
}

void BlockPass::project(uint32_t layer, Tile tile, Scratch& scratch) {
  const LayerWeights& weights = weights_.layers[layer];
  const size_t hidden = config_.hidden, query_channels = config_.query_channels(),
               kv_channels = config_.kv_channels();
  const Rows queries{queries_.data() + tile.begin * query_channels, query_channels};
  const Rows keys{cache_.row(layer, Side::kKey, begin_ + tile.begin), kv_channels};
  const Rows values{cache_.row(layer, Side::kValue, begin_ + tile.begin), kv_channels};
  norm_rows(tile.begin, tile.rows, weights.attention_norm, scratch.normed);
  const ConstRows normed{scratch.normed.data(), hidden};
  linear(tile.rows, query_channels, hidden, normed, weights.query, queries);
  linear(tile.rows, kv_channels, hidden, normed, weights.key, keys);
  linear(tile.rows, kv_channels, hidden, normed, weights.value, values);
  const auto rotate = [&](Rows rows, size_t row, uint32_t heads) {
    for (uint32_t head = 0; head < heads; ++head) {
      float* first = rows.data + row * rows.stride + size_t{head} * config_.head_dim;
      rope_.redo(static_cast<uint32_t>(tile.begin + row), {first, config_.head_dim});
    }
  };
  for (size_t row = 0; row < tile.rows; ++row) {
    rotate(queries, row, config_.heads);
    rotate(keys, row, config_.kv_heads);
  }
}

void BlockPass::attend_and_feed(uint32_t layer, Tile tile, Scratch& scratch) {
  const LayerWeights& weights = weights_.layers[layer];
  const size_t hidden = config_.hidden, query_channels = config_.query_channels(),
               inner = config_.intermediate;
  const Rows residual = hidden_rows(tile.begin);
  const Rows attended{scratch.attended.data(), query_channels};
  attend(config_, cache_, layer, begin_ + tile.begin, tile.rows,
         {queries_.data() + tile.begin * query_channels, query_channels}, attended,
         scratch.attention);
  linear(tile.rows, hidden, query_channels, attended, weights.output, residual, Into::kAdd);
  norm_rows(tile.begin, tile.rows, weights.mlp_norm, scratch.normed);
  const ConstRows normed{scratch.normed.data(), hidden};
  linear(tile.rows, inner, hidden, normed, weights.gate, {scratch.gate.data(), inner});
  linear(tile.rows, inner, hidden, normed, weights.up, {scratch.up.data(), inner});
  silu_multiply({scratch.gate.data(), tile.rows * inner}, scratch.up.data());
  linear(tile.rows, hidden, inner, {scratch.gate.data(), inner}, weights.down, residual,
         Into::kAdd);
}

}  // namespace kvcast::engine
