#include <immintrin.h>

#include "kernels/quantise/quantiser_kernels.h"

namespace kvcast::kernels::avx512 {
namespace {

struct Constants {
  __m512 step, rounding, cell, fraction_of_one, fraction_of_more;
};

// bf16 bits of 16 values, in the low halves.
[[gnu::always_inline]] inline __m512i reconstruct(const Constants& how, __m512i value) {
  const __m512i magnitude = _mm512_abs_epi32(value);
  const __mmask16 is_one = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(1));
  const __m512 inside = _mm512_mask_blend_ps(is_one, how.fraction_of_more, how.fraction_of_one);
  const __m512 cells =
      _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(magnitude), inside), how.cell);
  const __m512 y = _mm512_mul_ps(how.step, _mm512_sub_ps(cells, how.rounding));
  const __m512i sign = _mm512_and_si512(value, _mm512_set1_epi32(INT32_MIN));
  const __m512i bits = _mm512_xor_si512(_mm512_castps_si512(y), sign);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
  return _mm512_maskz_srli_epi32(_mm512_test_epi32_mask(value, value), rounded, 16);
}

}  // namespace

void reconstruct_rows(const CellReconstruction& how, const int16_t* values, uint32_t steps,
                      uint16_t* bf16, size_t row) {
  const Constants constants{_mm512_set1_ps(how.step), _mm512_set1_ps(how.rounding),
                            _mm512_set1_ps(how.cell), _mm512_set1_ps(how.fraction[0]),
                            _mm512_set1_ps(how.fraction[1])};
  for (uint32_t step = 0; step < steps; ++step) {
    const __m512i packed = _mm512_loadu_si512(values + size_t{step} * 32);
    // Even lanes lie in the low halves, odd lanes in the high ones.
    const __m512i even =
        reconstruct(constants, _mm512_srai_epi32(_mm512_slli_epi32(packed, 16), 16));
    const __m512i odd = reconstruct(constants, _mm512_srai_epi32(packed, 16));
    _mm512_storeu_si512(bf16 + step * row, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
  }
}

}  // namespace kvcast::kernels::avx512
