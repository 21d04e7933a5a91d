// Causal attention of a few query rows over everything before them, in blocks of keys with a
// running softmax (Milakov & Gimelshein 2018; FlashAttention, Dao et al. 2022), so that memory does
// not grow with the context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tools/engine/config.h"
#include "tools/engine/forward/linear.h"
#include "tools/engine/kv_cache.h"

namespace kvcast::engine {

inline constexpr size_t kTileRows = 128;  // query rows of one call at most
inline constexpr size_t kKeyBlock = 256;  // keys of one step

// Working memory of one worker; allocated once.
struct AttentionScratch {
  std::vector<float> scores = std::vector<float>(kTileRows * kKeyBlock);
  std::vector<float> row_max = std::vector<float>(kTileRows),
                     row_sum = std::vector<float>(kTileRows);
};

// queries, to: [rows][heads * head_dim], rows <= kTileRows, of positions first_position + row, RoPE
// applied. Row r attends to tokens [0, first_position + r] of the cache.
void attend(const ModelConfig& config, const KvCache& cache, uint32_t layer,
            uint64_t first_position, size_t rows, ConstRows queries, Rows to,
            AttentionScratch& scratch);

}  // namespace kvcast::engine
