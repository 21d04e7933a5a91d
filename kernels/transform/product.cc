#include "kernels/transform/product.h"

namespace kvcast::kernels::transform {
namespace {

void one_row(const float* __restrict row, size_t columns, const float* __restrict in,
             float* __restrict out) {
  float sum[kTileTokens] = {};
  for (size_t c = 0; c < columns; ++c) {
    for (size_t t = 0; t < kTileTokens; ++t) sum[t] += row[c] * in[c * kTileTokens + t];
  }
  for (size_t t = 0; t < kTileTokens; ++t) out[t] = sum[t];
}

void two_rows(const float* __restrict row, size_t columns, const float* __restrict in,
              float* __restrict out) {
  float first[kTileTokens] = {};
  float second[kTileTokens] = {};
  for (size_t c = 0; c < columns; ++c) {
    for (size_t t = 0; t < kTileTokens; ++t) first[t] += row[c] * in[c * kTileTokens + t];
    for (size_t t = 0; t < kTileTokens; ++t)
      second[t] += row[columns + c] * in[c * kTileTokens + t];
  }
  for (size_t t = 0; t < kTileTokens; ++t) out[t] = first[t];
  for (size_t t = 0; t < kTileTokens; ++t) out[kTileTokens + t] = second[t];
}

}  // namespace

void multiply_tile(std::span<const float> matrix, size_t rows, size_t columns,
                   std::span<const float> in, std::span<float> out) {
  size_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    two_rows(matrix.data() + r * columns, columns, in.data(), out.data() + r * kTileTokens);
  }
  if (r < rows)
    one_row(matrix.data() + r * columns, columns, in.data(), out.data() + r * kTileTokens);
}

}  // namespace kvcast::kernels::transform
