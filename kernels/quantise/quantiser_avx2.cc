#include <immintrin.h>

#include "kernels/quantise/quantiser_kernels.h"

namespace kvcast::kernels::avx2 {
namespace {

struct Constants {
  __m256 step, rounding, cell, fraction_of_one, fraction_of_more;
};

// bf16 bits of 8 values, in the low halves.
[[gnu::always_inline]] inline __m256i reconstruct(const Constants& how, __m256i value) {
  const __m256i magnitude = _mm256_abs_epi32(value);
  const __m256 is_one = _mm256_castsi256_ps(_mm256_cmpeq_epi32(magnitude, _mm256_set1_epi32(1)));
  const __m256 inside = _mm256_blendv_ps(how.fraction_of_more, how.fraction_of_one, is_one);
  const __m256 cells =
      _mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(magnitude), inside), how.cell);
  const __m256 y = _mm256_mul_ps(how.step, _mm256_sub_ps(cells, how.rounding));
  const __m256i sign = _mm256_and_si256(value, _mm256_set1_epi32(INT32_MIN));
  const __m256i bits = _mm256_xor_si256(_mm256_castps_si256(y), sign);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
  const __m256i is_zero = _mm256_cmpeq_epi32(value, _mm256_setzero_si256());
  return _mm256_andnot_si256(is_zero, _mm256_srli_epi32(rounded, 16));
}

}  // namespace

void reconstruct_rows(const CellReconstruction& how, const int16_t* values, uint32_t steps,
                      uint16_t* bf16, size_t row) {
  const Constants constants{_mm256_set1_ps(how.step), _mm256_set1_ps(how.rounding),
                            _mm256_set1_ps(how.cell), _mm256_set1_ps(how.fraction[0]),
                            _mm256_set1_ps(how.fraction[1])};
  for (uint32_t step = 0; step < steps; ++step) {
    for (size_t half = 0; half < 32; half += 16) {
      const __m256i packed =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + size_t{step} * 32 + half));
      // Even lanes lie in the low halves, odd lanes in the high ones.
      const __m256i even =
          reconstruct(constants, _mm256_srai_epi32(_mm256_slli_epi32(packed, 16), 16));
      const __m256i odd = reconstruct(constants, _mm256_srai_epi32(packed, 16));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(bf16 + step * row + half),
                          _mm256_or_si256(even, _mm256_slli_epi32(odd, 16)));
    }
  }
}

}  // namespace kvcast::kernels::avx2
