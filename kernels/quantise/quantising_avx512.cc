#include <immintrin.h>

#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::avx512 {
namespace {

size_t append(__mmask16 mask, __m512i values, int32_t* to) {
  _mm512_mask_compressstoreu_epi32(to, mask, values);
  return static_cast<size_t>(_mm_popcnt_u32(mask));
}

constexpr int kCommon = 3;  // values -3 to 3 are counted 64 at a time

uint32_t bit_count(uint64_t mask) {
  return static_cast<uint32_t>(_mm_popcnt_u64(mask));
}

// 64 values as bytes; those beyond a byte become its ends.
__m512i bytes_of(const int32_t* q) {
  const auto sixteen = [q](int i) { return _mm512_cvtsepi32_epi8(_mm512_loadu_si512(q + i)); };
  const __m256i low = _mm256_set_m128i(sixteen(16), sixteen(0));
  const __m256i high = _mm256_set_m128i(sixteen(48), sixteen(32));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Counts the common ones of 64 values. Answers a mask of the others.
uint64_t count_common(const int32_t* q, uint32_t (&common)[2 * kCommon + 1]) {
  const __m512i bytes = bytes_of(q);
  uint64_t counted = 0;
  for (int value = -kCommon; value <= kCommon; ++value) {
    const uint64_t equal =
        _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(static_cast<char>(value)));
    common[value + kCommon] += bit_count(equal);
    counted |= equal;
  }
  return ~counted;
}

// Near zero, where nearly all values are, counting one by one means waiting for the last count.
size_t count_by_comparing(const int32_t* q, size_t count, ValueCounts& counts, int32_t* far) {
  constexpr size_t kBlock = 512;
  const __m512i middle = _mm512_set1_epi32(ValueCounts::kNear);
  const __m512i end = _mm512_set1_epi32(2 * ValueCounts::kNear);
  __m512i magnitudes = _mm512_setzero_si512();
  alignas(64) uint16_t index[kBlock + 16];
  uint32_t common[2 * kCommon + 1] = {};
  size_t appended = 0, i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    size_t kept = 0;
    for (size_t at = i; at < i + kBlock; at += 64) {
      uint64_t others = count_common(q + at, common);
      for (size_t part = at; others != 0; part += 16, others >>= 16) {
        const auto mask = static_cast<__mmask16>(others);
        const __m512i values = _mm512_loadu_si512(q + part);
        const __m512i indices = _mm512_add_epi32(values, middle);
        const __mmask16 near = _mm512_mask_cmplt_epu32_mask(mask, indices, end);
        magnitudes = _mm512_mask_or_epi32(magnitudes, mask, magnitudes, _mm512_abs_epi32(values));
        if (near != mask)
          appended += append(static_cast<__mmask16>(mask ^ near), values, far + appended);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(index + kept),
                            _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(near, indices)));
        kept += bit_count(near);
      }
    }
    for (; kept % 4 != 0; --kept) ++counts.table[0][index[kept - 1]];
    for (size_t k = 0; k < kept; k += 4) {
      for (size_t t = 0; t < 4; ++t) ++counts.table[t][index[k + t]];
    }
  }
  for (uint32_t value = 0; value < 2 * kCommon + 1; ++value) {
    counts.table[0][ValueCounts::kNear - kCommon + value] += common[value];
    if (common[value] > 0) counts.magnitudes |= kCommon;
  }
  counts.magnitudes |= static_cast<uint32_t>(_mm512_reduce_or_epi32(magnitudes));
  return appended + count_values(q + i, count - i, counts, far + appended);
}

// Reconstructions of magnitudes below 32 are looked up; a vector with a larger one is computed.
double squared_error_by_table(const CellReconstruction& how, uint32_t dropped_bits, const float* y,
                              const int32_t* q, size_t count) {
  alignas(64) float table[32];
  for (int32_t magnitude = 0; magnitude < 32; ++magnitude)
    table[magnitude] = reconstructed(how, 0, magnitude);
  const __m512 low = _mm512_load_ps(table), high = _mm512_load_ps(table + 16);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(dropped_bits));
  const __m512i sign_bit = _mm512_set1_epi32(INT32_MIN), last = _mm512_set1_epi32(31);
  __m512d parts[4] = {};
  size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (size_t half = 0; half < 2; ++half) {
      const size_t at = i + 16 * half;
      const __m512i values = _mm512_loadu_si512(q + at);
      const __m512i magnitude = _mm512_srl_epi32(_mm512_abs_epi32(values), shift);
      __m512 expected = _mm512_permutex2var_ps(low, magnitude, high);
      if (_mm512_cmpgt_epi32_mask(magnitude, last) != 0) {
        alignas(64) float computed[16];
        for (size_t k = 0; k < 16; ++k)
          computed[k] = reconstructed(how, dropped_bits, q[at + k] < 0 ? -q[at + k] : q[at + k]);
        expected = _mm512_load_ps(computed);
      }
      // Turned to the value's sign, as the reconstruction is.
      const __m512i turned =
          _mm512_xor_si512(_mm512_loadu_si512(y + at), _mm512_and_si512(values, sign_bit));
      const __m512 error = _mm512_sub_ps(_mm512_castsi512_ps(turned), expected);
      const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(error));
      const __m512d second = _mm512_cvtps_pd(_mm512_extractf32x8_ps(error, 1));
      parts[2 * half] = _mm512_add_pd(parts[2 * half], _mm512_mul_pd(first, first));
      parts[2 * half + 1] = _mm512_add_pd(parts[2 * half + 1], _mm512_mul_pd(second, second));
    }
  }
  alignas(64) double sums[kParts];
  for (size_t part = 0; part < 4; ++part) _mm512_store_pd(sums + 8 * part, parts[part]);
  for (size_t part = 0; i < count; ++i, ++part) {
    const double error = static_cast<double>(y[i] - reconstructed(how, dropped_bits, q[i]));
    sums[part] += error * error;
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

size_t find_escapes(const int32_t* q, size_t count, uint32_t dropped_bits, int32_t largest,
                    int32_t* escaped) {
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(dropped_bits));
  const __m512i limit = _mm512_set1_epi32(largest);
  size_t appended = 0, i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i values = _mm512_loadu_si512(q + i);
    const __m512i coarse = _mm512_srl_epi32(_mm512_abs_epi32(values), shift);
    const __mmask16 beyond = _mm512_cmpgt_epi32_mask(coarse, limit);
    if (beyond == 0) continue;
    const __mmask16 negative = _mm512_movepi32_mask(values);
    const __m512i with_sign =
        _mm512_mask_sub_epi32(coarse, negative, _mm512_setzero_si512(), coarse);
    appended += append(beyond, with_sign, escaped + appended);
  }
  return appended + base_escapes(q + i, count - i, dropped_bits, largest, escaped + appended);
}

}  // namespace

constexpr QuantisingKernels kQuantisingKernels{
    quantise,     move_values, count_by_comparing,    base_symbols, find_escapes,
    pass_symbols, energy,      squared_error_by_table};

}  // namespace kvcast::kernels::avx512
