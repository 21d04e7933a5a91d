// The forward pass of one block of consecutive tokens, layer by layer. Work is cut into tiles of
// rows whose size does not depend on the number of threads, so neither do the results.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/rope.h"
#include "tools/engine/forward/attention.h"
#include "tools/engine/forward/workers.h"
#include "tools/engine/load/weights.h"

namespace kvcast::engine {

inline constexpr size_t kBlockTokens =
    1024;  // a multiple of kTileRows: tiles of all but the last block are whole

class BlockPass {
 public:
  // Everything must outlive it. Memory: a few activations of kBlockTokens rows and of a tile per
  // worker.
  BlockPass(const ModelConfig& config, const Weights& weights, KvCache& cache, Workers& workers,
            size_t most_tokens);

  // Tokens at positions begin, begin + 1, ...; the cache holds [0, begin).
  void start(uint64_t begin, std::span<const uint32_t> tokens);
  // Layers in order, each in two steps: its queries, and its keys and values, which go to the cache;
  // then attention and what follows it.
  void project_layer(uint32_t layer);
  void finish_layer(uint32_t layer);
  uint64_t begin() const { return begin_; }
  // Of the layer projected last: [token][heads * head_dim], RoPE applied.
  std::span<const float> queries() const {
    return std::span(queries_).first(tokens_ * config_.query_channels());
  }
  // After the last layer: logits of the block's tokens [first, end) to to[end - first][vocabulary].
  void logits(size_t first, float* to);

 private:
  struct Scratch {
    AttentionScratch attention;
    std::vector<float> normed, attended, gate, up;
  };
  struct Tile {
    size_t begin, rows;  // rows of the block
  };

  size_t tiles() const { return (tokens_ + kTileRows - 1) / kTileRows; }
  Tile tile(size_t index) const;
  Rows hidden_rows(size_t row) { return {hidden_.data() + row * config_.hidden, config_.hidden}; }
  void norm_rows(size_t first, size_t rows, const std::vector<float>& weight,
                 std::vector<float>& to);
  void project(uint32_t layer, Tile tile, Scratch& scratch);
  void attend_and_feed(uint32_t layer, Tile tile, Scratch& scratch);

  const ModelConfig& config_;
  const Weights& weights_;
  KvCache& cache_;
  Workers& workers_;
  uint64_t begin_ = 0;
  size_t tokens_ = 0;
  kernels::RopeTable rope_;
  std::vector<float> hidden_, queries_;  // [block][hidden], [block][heads * head_dim]
  std::vector<Scratch> scratch_;         // [worker]
};

}  // namespace kvcast::engine
