#include <immintrin.h>

#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx512_bf16 {
namespace {

float fuse(float scale, float u, float mean) {
  return __builtin_fmaf(scale, u, mean);
}

// In panels of pairs of rows: [panel][pair][kPanel] times two bf16; an odd last row has a zero
// beside it.
void pack_pairs(const uint16_t* basis, size_t rank, size_t width, float* packed) {
  auto* to = reinterpret_cast<std::byte*>(packed);
  for (size_t first = 0; first < width; first += kPanel) {
    const size_t count = width - first < kPanel ? width - first : kPanel;
    for (size_t r = 0; r < rank; r += 2, to += kPanel * sizeof(float)) {
      uint16_t pairs[2 * kPanel] = {};
      for (size_t c = 0; c < count; ++c) {
        pairs[2 * c] = basis[r * width + first + c];
        if (r + 1 < rank) pairs[2 * c + 1] = basis[(r + 1) * width + first + c];
      }
      __builtin_memcpy(to, pairs, sizeof(pairs));
    }
  }
}

// Two columns become pairs, [token] times two bf16.
void pair_components(const uint16_t* const* components, size_t rank, float* scratch) {
  const __m512i first_half =
      _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                       37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i second_half = _mm512_add_epi16(first_half, _mm512_set1_epi16(16));
  for (size_t r = 0; r < rank; r += 2, scratch += kColumnTokens) {
    const __m512i a = _mm512_loadu_si512(components[r]);
    const __m512i b = r + 1 < rank ? _mm512_loadu_si512(components[r + 1]) : _mm512_setzero_si512();
    _mm512_storeu_si512(scratch, _mm512_permutex2var_epi16(a, first_half, b));
    _mm512_storeu_si512(scratch + 16, _mm512_permutex2var_epi16(a, second_half, b));
  }
}

void product(const float* packed, size_t rank, size_t width, const uint16_t* const* components,
             const float* scale, const float* mean, float* scratch, float* out) {
  pair_components(components, rank, scratch);
  const size_t pairs = (rank + 1) / 2;
  for (size_t first = 0; first < width; first += kPanel, packed += kPanel * pairs) {
    __m512 sum[kPanel][2] = {};
    for (size_t p = 0; p < pairs; ++p) {
      const auto low = reinterpret_cast<__m512bh>(_mm512_loadu_ps(scratch + p * kColumnTokens));
      const auto high =
          reinterpret_cast<__m512bh>(_mm512_loadu_ps(scratch + p * kColumnTokens + 16));
#pragma GCC unroll 8
      for (size_t c = 0; c < kPanel; ++c) {
        const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_ps(packed[p * kPanel + c]));
        sum[c][0] = _mm512_dpbf16_ps(sum[c][0], low, pair);
        sum[c][1] = _mm512_dpbf16_ps(sum[c][1], high, pair);
      }
    }
#pragma GCC unroll 8
    for (size_t c = 0; c < kPanel; ++c) {
      if (first + c >= width) break;
      const __m512 factor = _mm512_set1_ps(scale[first + c]);
      const __m512 shift = _mm512_set1_ps(mean[first + c]);
      float* const to = out + (first + c) * kColumnTokens;
      _mm512_storeu_ps(to, _mm512_fmadd_ps(factor, sum[c][0], shift));
      _mm512_storeu_ps(to + 16, _mm512_fmadd_ps(factor, sum[c][1], shift));
    }
  }
}

}  // namespace

constexpr InverseKernels kInverseKernels{pack_pairs, product, scale_and_shift<fuse>};

}  // namespace kvcast::kernels::avx512_bf16
