#include <algorithm>

#include "kernels/transform/column_loops.h"

namespace kvcast::kernels::scalar {
namespace {

void to_columns(const std::byte* rows, size_t stride, size_t tokens, size_t channels,
                size_t /*ahead*/, uint16_t* columns) {
  for (size_t t = 0; t < kColumnTokens; ++t) {
    const std::byte* const row = rows + std::min(t, tokens - 1) * stride;
    for (size_t c = 0; c < channels; ++c)
      __builtin_memcpy(columns + c * kColumnTokens + t, row + 2 * c, 2);
  }
}

void to_rows(const uint16_t* const* columns, size_t count, uint16_t* rows) {
  for (size_t t = 0; t < kColumnTokens; ++t) {
    for (size_t c = 0; c < kRowColumns; ++c)
      rows[t * kRowColumns + c] = c < count ? columns[c][t] : uint16_t{0};
  }
}

void to_lanes(const float* const* columns, size_t lanes, size_t tokens, float* rows) {
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t lane = 0; lane < lanes; ++lane) rows[t * lanes + lane] = columns[lane][t];
  }
}

}  // namespace

constexpr ColumnKernels kColumnKernels{to_columns, to_rows, widen_bf16, widen_f16,
                                       all_finite, rotate,  normalise,  multiply<16, 4, 2>,
                                       to_lanes};

}  // namespace kvcast::kernels::scalar
