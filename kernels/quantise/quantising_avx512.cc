#include <immintrin.h>

#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::avx512 {
namespace {

size_t append(__mmask16 mask, __m512i values, int32_t* to) {
  _mm512_mask_compressstoreu_epi32(to, mask, values);
  return static_cast<size_t>(_mm_popcnt_u32(mask));
}

// Zeros are counted sixteen at a time, and only the others one by one: zeros are most of the values
// of cheap groups, and counting them one by one means waiting for the last count.
size_t count_nonzeros(const int32_t* q, size_t count, ValueCounts& counts, int32_t* far) {
  constexpr size_t kBlock = 512;
  const __m512i middle = _mm512_set1_epi32(ValueCounts::kNear);
  const __m512i end = _mm512_set1_epi32(2 * ValueCounts::kNear);
  alignas(64) uint16_t index[kBlock + 16];
  size_t appended = 0, zeros = 0, i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    size_t kept = 0;
    for (size_t at = i; at < i + kBlock; at += 16) {
      const __m512i values = _mm512_loadu_si512(q + at);
      const __m512i indices = _mm512_add_epi32(values, middle);
      const __mmask16 nonzero = _mm512_test_epi32_mask(values, values);
      const __mmask16 near = _mm512_mask_cmplt_epu32_mask(nonzero, indices, end);
      if (near != nonzero)
        appended += append(static_cast<__mmask16>(nonzero ^ near), values, far + appended);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(index + kept),
                          _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(near, indices)));
      kept += static_cast<size_t>(_mm_popcnt_u32(near));
      zeros += 16 - static_cast<size_t>(_mm_popcnt_u32(nonzero));
    }
    for (; kept % 4 != 0; --kept) ++counts.table[0][index[kept - 1]];
    for (size_t k = 0; k < kept; k += 4) {
      for (size_t t = 0; t < 4; ++t) ++counts.table[t][index[k + t]];
    }
  }
  counts.table[0][ValueCounts::kNear] += static_cast<uint32_t>(zeros);
  return appended + count_values(q + i, count - i, counts, far + appended);
}

}  // namespace

constexpr QuantisingKernels kQuantisingKernels{quantise,     count_nonzeros, base_symbols,
                                               pass_symbols, energy,         squared_error};

}  // namespace kvcast::kernels::avx512
