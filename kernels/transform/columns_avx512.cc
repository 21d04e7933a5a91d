#include <immintrin.h>

#include "kernels/transform/column_loops.h"

namespace kvcast::kernels::avx512 {
namespace {

// 128-bit lane l of x[i] becomes lane i of x[l].
[[gnu::always_inline]] inline void transpose_lanes(__m512i (&x)[4]) {
  const __m512i a = _mm512_shuffle_i32x4(x[0], x[1], 0x44);
  const __m512i b = _mm512_shuffle_i32x4(x[0], x[1], 0xEE);
  const __m512i c = _mm512_shuffle_i32x4(x[2], x[3], 0x44);
  const __m512i d = _mm512_shuffle_i32x4(x[2], x[3], 0xEE);
  x[0] = _mm512_shuffle_i32x4(a, c, 0x88);
  x[1] = _mm512_shuffle_i32x4(a, c, 0xDD);
  x[2] = _mm512_shuffle_i32x4(b, d, 0x88);
  x[3] = _mm512_shuffle_i32x4(b, d, 0xDD);
}

// In every 128-bit lane: 8 rows of 8 16-bit elements become columns, in place.
[[gnu::always_inline]] inline void transpose_in_lanes(__m512i (&x)[8]) {
  __m512i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm512_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm512_unpacklo_epi32(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi32(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi32(a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = _mm512_unpacklo_epi64(b[i], b[i + 4]);
    x[2 * i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 4]);
  }
}

// A square of 32 x 32 16-bit elements: load(row) answers its rows, store(row, elements) takes the
// rows of its transpose.
template <typename Load, typename Store>
[[gnu::always_inline]] inline void transpose_square(Load load, Store store) {
  __m512i parts[8][4];  // [j][rows 8 i to 8 i + 7]: lane l is column 8 l + j of those rows
  for (size_t i = 0; i < 4; ++i) {
    __m512i x[8];
    for (size_t j = 0; j < 8; ++j) x[j] = load(8 * i + j);
    transpose_in_lanes(x);
    for (size_t j = 0; j < 8; ++j) parts[j][i] = x[j];
  }
  for (size_t j = 0; j < 8; ++j) {
    transpose_lanes(parts[j]);
    for (size_t l = 0; l < 4; ++l) store(8 * l + j, parts[j][l]);
  }
}

__mmask32 first(size_t count) {
  return count < 32 ? (1u << count) - 1 : 0xFFFFFFFF;
}

void to_columns(const std::byte* rows, size_t stride, size_t tokens, size_t channels, size_t ahead,
                uint16_t* columns) {
  for (size_t c = 0; c < channels; c += 32) {
    const __mmask32 there = first(channels - c);
    transpose_square(
        [&](size_t t) {
          const std::byte* const row = rows + (t < tokens ? t : tokens - 1) * stride;
          // 32 rows are more streams than hardware follows.
          _mm_prefetch(reinterpret_cast<const char*>(row + 2 * c + ahead), _MM_HINT_T0);
          return _mm512_maskz_loadu_epi16(there, row + 2 * c);
        },
        [&](size_t i, __m512i column) {
          if (c + i < channels) _mm512_storeu_si512(columns + (c + i) * kColumnTokens, column);
        });
  }
}

void to_rows(const uint16_t* const* columns, size_t count, uint16_t* rows) {
  transpose_square(
      [&](size_t i) { return i < count ? _mm512_loadu_si512(columns[i]) : _mm512_setzero_si512(); },
      [&](size_t t, __m512i row) { _mm512_storeu_si512(rows + t * kRowColumns, row); });
}

// 16 columns, 16 tokens from `t` on.
void square_to_lanes(const float* const* columns, size_t t, size_t tokens, size_t lanes,
                     float* rows) {
  __m512i parts[4][4];  // [j][columns 4 i to 4 i + 3]: lane l is token 4 l + j of those columns
  for (size_t i = 0; i < 4; ++i) {
    __m512 x[4];
    for (size_t j = 0; j < 4; ++j) x[j] = _mm512_loadu_ps(columns[4 * i + j] + t);
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(x[0], x[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(x[0], x[1]));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(x[2], x[3]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(x[2], x[3]));
    parts[0][i] = _mm512_castpd_si512(_mm512_unpacklo_pd(a, c));
    parts[1][i] = _mm512_castpd_si512(_mm512_unpackhi_pd(a, c));
    parts[2][i] = _mm512_castpd_si512(_mm512_unpacklo_pd(b, d));
    parts[3][i] = _mm512_castpd_si512(_mm512_unpackhi_pd(b, d));
  }
  for (size_t j = 0; j < 4; ++j) {
    transpose_lanes(parts[j]);
    for (size_t l = 0; l < 4; ++l) {
      if (t + 4 * l + j < tokens) _mm512_storeu_si512(rows + (t + 4 * l + j) * lanes, parts[j][l]);
    }
  }
}

void to_lanes(const float* const* columns, size_t lanes, size_t tokens, float* rows) {
  size_t lane = 0;
  for (; lane + 16 <= lanes; lane += 16) {
    for (size_t t = 0; t < tokens; t += 16)
      square_to_lanes(columns + lane, t, tokens, lanes, rows + lane);
  }
  for (; lane < lanes; ++lane) {
    for (size_t t = 0; t < tokens; ++t) rows[t * lanes + lane] = columns[lane][t];
  }
}

}  // namespace

constexpr ColumnKernels kColumnKernels{to_columns, to_rows, widen_bf16, widen_f16,
                                       all_finite, rotate,  normalise,  multiply<64, 8, 2>,
                                       to_lanes};

}  // namespace kvcast::kernels::avx512
