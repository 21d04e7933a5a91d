#include <immintrin.h>

#include <cstring>

#include "kernels/transform/column_loops.h"

namespace kvcast::kernels::avx2 {
namespace {

// In place: 8 rows of 8 16-bit elements become columns.
[[gnu::always_inline]] inline void transpose(__m128i (&x)[8]) {
  __m128i a[8], b[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
    a[2 * i + 1] = _mm_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm_unpacklo_epi32(a[i], a[i + 2]);
    b[i + 1] = _mm_unpackhi_epi32(a[i], a[i + 2]);
    b[i + 2] = _mm_unpacklo_epi32(a[i + 1], a[i + 3]);
    b[i + 3] = _mm_unpackhi_epi32(a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
    x[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
  }
}

__m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

void to_columns(const std::byte* rows, size_t stride, size_t tokens, size_t channels,
                size_t /*ahead*/, uint16_t* columns) {
  for (size_t t = 0; t < kColumnTokens; t += 8) {
    const std::byte* row[8];
    for (size_t i = 0; i < 8; ++i) row[i] = rows + (t + i < tokens ? t + i : tokens - 1) * stride;
    size_t c = 0;
    for (; c + 8 <= channels; c += 8) {
      __m128i x[8];
      for (int i = 0; i < 8; ++i) x[i] = load(row[i] + 2 * c);
      transpose(x);
      for (size_t i = 0; i < 8; ++i)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(columns + (c + i) * kColumnTokens + t), x[i]);
    }
    for (; c < channels; ++c) {
      for (size_t i = 0; i < 8; ++i)
        std::memcpy(columns + c * kColumnTokens + t + i, row[i] + 2 * c, 2);
    }
  }
}

void to_rows(const uint16_t* const* columns, size_t count, uint16_t* rows) {
  for (size_t t = 0; t < kColumnTokens; t += 8) {
    for (size_t c = 0; c < kRowColumns; c += 8) {
      __m128i x[8];
      for (size_t i = 0; i < 8; ++i)
        x[i] = c + i < count ? load(columns[c + i] + t) : _mm_setzero_si128();
      transpose(x);
      for (size_t i = 0; i < 8; ++i)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(rows + (t + i) * kRowColumns + c), x[i]);
    }
  }
}

void to_lanes(const float* const* columns, size_t lanes, size_t tokens, float* rows) {
  size_t lane = 0;
  for (; lane + 4 <= lanes; lane += 4) {
    for (size_t t = 0; t < tokens; t += 4) {
      __m128 x[4];
      for (size_t i = 0; i < 4; ++i) x[i] = _mm_loadu_ps(columns[lane + i] + t);
      _MM_TRANSPOSE4_PS(x[0], x[1], x[2], x[3]);
      for (size_t i = 0; i < 4 && t + i < tokens; ++i)
        _mm_storeu_ps(rows + (t + i) * lanes + lane, x[i]);
    }
  }
  for (; lane < lanes; ++lane) {
    for (size_t t = 0; t < tokens; ++t) rows[t * lanes + lane] = columns[lane][t];
  }
}

}  // namespace

constexpr ColumnKernels kColumnKernels{to_columns, to_rows, widen_bf16, widen_f16,
                                       all_finite, rotate,  normalise,  multiply<32, 4, 2>,
                                       to_lanes};

}  // namespace kvcast::kernels::avx2
