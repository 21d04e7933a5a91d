#include "tools/engine/forward/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tools/engine/forward/pointwise.h"

namespace kvcast::engine {
namespace {

using kernels::Side;

void scale_row(float* row, size_t count, float scale) {
  for (size_t i = 0; i < count; ++i) row[i] *= scale;
}

// Turns the scores of keys [key_begin, key_begin + keys) into weights relative to each row's
// running maximum, and brings the row's output so far to the same maximum. A row attends to keys up
// to its own position.
void soften(uint64_t first_position, size_t rows, uint64_t key_begin, size_t keys, Rows to,
            size_t dim, AttentionScratch& scratch) {
  for (size_t row = 0; row < rows; ++row) {
    float* scores = scratch.scores.data() + row * kKeyBlock;
    const uint64_t seen_end = first_position + row + 1;
    const size_t seen = seen_end <= key_begin
                            ? 0
                            : static_cast<size_t>(std::min<uint64_t>(keys, seen_end - key_begin));
    std::fill(scores + seen, scores + keys, 0.0f);
    if (seen == 0) continue;
    const float maximum = std::max(scratch.row_max[row], largest({scores, seen}));
    const float rescale = std::exp(scratch.row_max[row] - maximum);
    scratch.row_max[row] = maximum;
    scratch.row_sum[row] = scratch.row_sum[row] * rescale + exp_shifted({scores, seen}, maximum);
    if (rescale != 1.0f) scale_row(to.data + row * to.stride, dim, rescale);
  }
}

void attend_head(size_t dim, uint64_t first_position, size_t rows, ConstRows queries,
                 ConstRows keys, ConstRows values, Rows to, AttentionScratch& scratch) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
  std::fill_n(scratch.row_max.begin(), rows, -std::numeric_limits<float>::infinity());
  std::fill_n(scratch.row_sum.begin(), rows, 0.0f);
  for (size_t row = 0; row < rows; ++row) std::fill_n(to.data + row * to.stride, dim, 0.0f);
  const uint64_t end = first_position + rows;
  for (uint64_t begin = 0; begin < end; begin += kKeyBlock) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(kKeyBlock, end - begin));
    const Rows scores{scratch.scores.data(), kKeyBlock};
    multiply_transposed(rows, count, dim, scale, queries,
                        {keys.data + begin * keys.stride, keys.stride}, scores);
    soften(first_position, rows, begin, count, to, dim, scratch);
    add_product(rows, dim, count, scores, {values.data + begin * values.stride, values.stride}, to);
  }
  for (size_t row = 0; row < rows; ++row)
    scale_row(to.data + row * to.stride, dim, 1.0f / scratch.row_sum[row]);
}

}  // namespace

void attend(const ModelConfig& config, const KvCache& cache, uint32_t layer,
            uint64_t first_position, size_t rows, ConstRows queries, Rows to,
            AttentionScratch& scratch) {
  const size_t dim = config.head_dim;
  const uint32_t share = config.heads / config.kv_heads;  // query heads of one KV head
  for (uint32_t head = 0; head < config.heads; ++head) {
    const size_t kv_offset = (head / share) * dim;
    attend_head(dim, first_position, rows, {queries.data + head * dim, queries.stride},
                {cache.row(layer, Side::kKey, 0) + kv_offset, cache.channels()},
                {cache.row(layer, Side::kValue, 0) + kv_offset, cache.channels()},
                {to.data + head * dim, to.stride}, scratch);
  }
}

}  // namespace kvcast::engine
