#include <immintrin.h>

#include "kernels/quantise/quantising_loops.h"

namespace kvcast::kernels::avx512 {
namespace {

size_t append(__mmask16 mask, __m512i values, int32_t* to) {
  _mm512_mask_compressstoreu_epi32(to, mask, values);
  return static_cast<size_t>(_mm_popcnt_u32(mask));
}

bool load_rows(const std::byte* x, size_t stride, size_t rows, const float* mean,
               const float* scale, float* y) {
  constexpr size_t kRow = 32, kAhead = 16;  // rows further on that may be read soon
  const __m512 one = _mm512_set1_ps(1);
  const __m512 shift[2] = {_mm512_loadu_ps(mean), _mm512_loadu_ps(mean + 16)};
  const __m512 factor[2] = {_mm512_div_ps(one, _mm512_loadu_ps(scale)),
                            _mm512_div_ps(one, _mm512_loadu_ps(scale + 16))};
  __m512i largest = _mm512_setzero_si512();  // of absolute values
  for (size_t row = 0; row < rows; ++row, x += stride, y += kRow) {
    __builtin_prefetch(x + kAhead * stride);
#pragma GCC unroll 2
    for (size_t half = 0; half < 2; ++half) {
      const __m512i bits =
          _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x) + half));
      const __m512 value = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
      const __m512 normal = _mm512_mul_ps(_mm512_sub_ps(value, shift[half]), factor[half]);
      _mm512_storeu_ps(y + 16 * half, normal);
      largest = _mm512_max_epi32(largest, _mm512_castps_si512(_mm512_abs_ps(normal)));
    }
  }
  return _mm512_reduce_max_epi32(largest) < 0x7F800000;
}

// Of 16 magnitudes below 64.
__m512 look_up(const float* table, __m512i magnitude, __mmask16 large) {
  const __m512 low =
      _mm512_permutex2var_ps(_mm512_load_ps(table), magnitude, _mm512_load_ps(table + 16));
  if (large == 0) [[likely]]
    return low;
  return _mm512_mask_mov_ps(
      low, large,
      _mm512_permutex2var_ps(_mm512_load_ps(table + 32), magnitude, _mm512_load_ps(table + 48)));
}

// 16 values: scalar's, bit for bit.
template <bool kMoved>
__m512i quantise_16(__m512 y, __m512 inverse, __m512 rounding, const ValueThresholds* thresholds) {
  const __m512i bits = _mm512_castps_si512(y);
  const __m512 place = _mm512_add_ps(_mm512_mul_ps(_mm512_abs_ps(y), inverse), rounding);
  // Too large becomes INT32_MIN, as unsigned the largest; so does a NaN, whose bits are removed.
  const __mmask16 number = _mm512_cmp_ps_mask(place, place, _CMP_ORD_Q);
  __m512i magnitude =
      _mm512_min_epu32(_mm512_maskz_cvttps_epi32(number, place), _mm512_set1_epi32(1 << 30));
  if constexpr (kMoved) {
    constexpr int kLast = ValueThresholds::kMagnitudes - 1;
    const __m512i index = _mm512_min_epu32(magnitude, _mm512_set1_epi32(kLast));
    const __mmask16 large = _mm512_cmpge_epu32_mask(magnitude, _mm512_set1_epi32(32));
    const __m512 up = look_up(thresholds->up, index, large);
    const __m512 down = look_up(thresholds->down, index, large);
    const __m512i one = _mm512_set1_epi32(1);
    magnitude =
        _mm512_mask_add_epi32(magnitude, _mm512_cmp_ps_mask(place, up, _CMP_GT_OQ), magnitude, one);
    magnitude = _mm512_mask_sub_epi32(magnitude, _mm512_cmp_ps_mask(place, down, _CMP_LT_OQ),
                                      magnitude, one);
  }
  const __m512i sign = _mm512_srai_epi32(bits, 31);
  return _mm512_sub_epi32(_mm512_xor_si512(magnitude, sign), sign);
}

template <bool kMoved>
void quantise_all(const float* y, size_t count, float step, float rounding,
                  const ValueThresholds* thresholds, int32_t* q) {
  const __m512 inverse = _mm512_set1_ps(1.0f / step), added = _mm512_set1_ps(rounding);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    _mm512_storeu_si512(q + i,
                        quantise_16<kMoved>(_mm512_loadu_ps(y + i), inverse, added, thresholds));
  }
  const auto left = static_cast<__mmask16>((1u << (count - i)) - 1);
  _mm512_mask_storeu_epi32(
      q + i, left,
      quantise_16<kMoved>(_mm512_maskz_loadu_ps(left, y + i), inverse, added, thresholds));
}

void quantise_by_registers(const float* y, size_t count, float step, float rounding,
                           const ValueThresholds* thresholds, int32_t* q) {
  (thresholds ? quantise_all<true> : quantise_all<false>)(y, count, step, rounding, thresholds, q);
}

// Counts up to four bytes at a time, first + 0 to first + kNumber - 1.
template <int kNumber>
void count_some_bytes(const uint8_t* bytes, size_t count, uint8_t first, uint32_t* counts) {
  __m512i byte[kNumber];
  uint64_t sum[kNumber] = {};
  for (int n = 0; n < kNumber; ++n) byte[n] = _mm512_set1_epi8(static_cast<char>(first + n));
  const auto add = [&](__m512i of, __mmask64 all) {
#pragma GCC unroll 4
    for (int n = 0; n < kNumber; ++n)
      sum[n] +=
          static_cast<uint64_t>(_mm_popcnt_u64(_mm512_mask_cmpeq_epi8_mask(all, of, byte[n])));
  };
  size_t i = 0;
  for (; i + 64 <= count; i += 64) add(_mm512_loadu_si512(bytes + i), ~__mmask64{0});
  if (const size_t left = count - i; left > 0) {
    const __mmask64 mask = ~__mmask64{0} >> (64 - left);
    add(_mm512_maskz_loadu_epi8(mask, bytes + i), mask);
  }
  for (int n = 0; n < kNumber; ++n) counts[n] += static_cast<uint32_t>(sum[n]);
}

void count_by_comparing(const uint8_t* bytes, size_t count, uint8_t first, uint32_t number,
                        uint32_t* counts) {
  constexpr size_t kNear =
      16384;  // what stays in the nearest cache from one comparison to the next
  for (size_t some; count > 0; bytes += some, count -= some) {
    some = count < kNear ? count : kNear;
    uint32_t n = 0;
    for (; n + 4 <= number; n += 4)
      count_some_bytes<4>(bytes, some, static_cast<uint8_t>(first + n), counts + n);
    for (; n < number; ++n)
      count_some_bytes<1>(bytes, some, static_cast<uint8_t>(first + n), counts + n);
  }
}

// The sum of 32 parts, and of `left` further terms.
template <typename Term>
double add_parts(const __m512d (&parts)[4], size_t left, Term term) {
  alignas(64) double sums[kParts];
  for (size_t part = 0; part < 4; ++part) _mm512_store_pd(sums + 8 * part, parts[part]);
  for (size_t i = 0; i < left; ++i) {
    const double value = term(i);
    sums[i] += value * value;
  }
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// Squares of floats are exact in fp64, so that a fused sum is rounded as an unfused one.
double energy_by_fma(const float* y, size_t count) {
  __m512d parts[4] = {};
  size_t i = 0;
  for (; i + kParts <= count; i += kParts) {
#pragma GCC unroll 4
    for (size_t part = 0; part < 4; ++part) {
      const __m512d value = _mm512_cvtps_pd(_mm256_loadu_ps(y + i + 8 * part));
      parts[part] = _mm512_fmadd_pd(value, value, parts[part]);
    }
  }
  return add_parts(parts, count - i, [&](size_t at) { return static_cast<double>(y[i + at]); });
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
      parts[2 * half] = _mm512_fmadd_pd(first, first, parts[2 * half]);
      parts[2 * half + 1] = _mm512_fmadd_pd(second, second, parts[2 * half + 1]);
    }
  }
  return add_parts(parts, count - i, [&](size_t at) {
    return static_cast<double>(y[i + at] - reconstructed(how, dropped_bits, q[i + at]));
  });
}

uint32_t narrow_base_values(const int32_t* q, size_t count, uint32_t dropped_bits, int8_t* values) {
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(dropped_bits));
  const __m512i most = _mm512_set1_epi32(kMaxBaseByte);
  __m512i magnitudes = _mm512_setzero_si512();
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i finest = _mm512_loadu_si512(q + i);
    const __m512i magnitude = _mm512_srl_epi32(_mm512_abs_epi32(finest), shift);
    magnitudes = _mm512_or_si512(magnitudes, magnitude);
    const __m512i bounded = _mm512_min_epi32(magnitude, most);
    const __m512i sign = _mm512_srai_epi32(finest, 31);
    const __m512i value = _mm512_sub_epi32(_mm512_xor_si512(bounded, sign), sign);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values + i), _mm512_cvtepi32_epi8(value));
  }
  return static_cast<uint32_t>(_mm512_reduce_or_epi32(magnitudes)) |
         base_values(q + i, count - i, dropped_bits, values + i);
}

void narrow_pass_symbols(const int32_t* q, size_t count, uint32_t dropped_bits, uint8_t* indices) {
  const __m128i before_shift = _mm_cvtsi32_si128(static_cast<int>(dropped_bits));
  const __m128i bit_shift = _mm_cvtsi32_si128(static_cast<int>(dropped_bits - 1));
  const __m512i one = _mm512_set1_epi32(1), two = _mm512_set1_epi32(2);
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512i finest = _mm512_loadu_si512(q + i);
    const __m512i magnitude = _mm512_abs_epi32(finest);
    const __m512i context = _mm512_min_epu32(_mm512_srl_epi32(magnitude, before_shift), two);
    const __m512i bit = _mm512_and_si512(_mm512_srl_epi32(magnitude, bit_shift), one);
    __m512i index = _mm512_or_si512(_mm512_slli_epi32(context, 2), bit);
    // What becomes -1 is symbol 2 of context 0.
    const __mmask16 negative =
        _mm512_mask_cmpeq_epi32_mask(_mm512_movepi32_mask(finest), index, one);
    index = _mm512_mask_add_epi32(index, negative, index, one);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(indices + i), _mm512_cvtepi32_epi8(index));
  }
  pass_symbols(q + i, count - i, dropped_bits, indices + i);
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
    load_rows,          quantise_by_registers, narrow_base_values,
    base_symbols,       find_escapes,          narrow_pass_symbols,
    count_by_comparing, energy_by_fma,         squared_error_by_table};

}  // namespace kvcast::kernels::avx512
