#include <immintrin.h>

#include "kernels/entropy/rans_encode_kernels.h"

namespace kvcast::kernels::avx512 {
namespace {

// Even or odd 16-bit halves of two vectors of 32-bit lanes.

struct Halves {
  __m512i even, odd;

  Halves() {
    const __m512i twice =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    even = twice;
    odd = _mm512_add_epi16(twice, _mm512_set1_epi16(1));
  }
  [[gnu::always_inline]] __m512i low(__m512i first, __m512i second) const {
    return _mm512_permutex2var_epi16(first, even, second);
  }
  [[gnu::always_inline]] __m512i high(__m512i first, __m512i second) const {
    return _mm512_permutex2var_epi16(first, odd, second);
  }
};

// The slots of 32 positions: a binary search of their pieces, at most 32 or (wide) 64.
template <bool kWide>
class Slots {
 public:
  explicit Slots(const EncodeTable& table)
      : begin_(_mm512_load_si512(table.begin)),
        begin_more_(_mm512_load_si512(table.begin + 32)),
        shift_(_mm512_load_si512(table.shift)),
        shift_more_(_mm512_load_si512(table.shift + 32)),
        middle_(_mm512_set1_epi16(static_cast<int16_t>(table.begin[kWide ? 32 : 16]))) {}

  [[gnu::always_inline]] __m512i at(__m512i position) const {
    const __mmask32 above = _mm512_cmpge_epu16_mask(position, middle_);
    __m512i piece = _mm512_maskz_mov_epi16(above, _mm512_set1_epi16(kWide ? 32 : 16));
    if constexpr (kWide) piece = search(position, piece, 16);
    piece = search(position, piece, 8);
    piece = search(position, piece, 4);
    piece = search(position, piece, 2);
    piece = search(position, piece, 1);
    return _mm512_add_epi16(position, look_up(piece, shift_, shift_more_));
  }

 private:
  static __m512i look_up(__m512i index, __m512i table, __m512i more) {
    return kWide ? _mm512_permutex2var_epi16(table, index, more)
                 : _mm512_permutexvar_epi16(index, table);
  }
  [[gnu::always_inline]] __m512i search(__m512i position, __m512i piece, int16_t step) const {
    const __m512i next = _mm512_or_si512(piece, _mm512_set1_epi16(step));
    const __mmask32 reached = _mm512_cmpge_epu16_mask(position, look_up(next, begin_, begin_more_));
    return _mm512_mask_mov_epi16(piece, reached, next);
  }

  __m512i begin_, begin_more_, shift_, shift_more_, middle_;
};

// Quotients of 16 states, exact or one too small: each of the three roundings towards zero takes
// less than 2^-23 of a quotient below 2^20.
[[gnu::always_inline]] inline __m512i divide(__m512i x, __m512 reciprocal) {
  constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  return _mm512_cvttps_epi32(
      _mm512_mul_round_ps(_mm512_cvt_roundepu32_ps(x, kTowardsZero), reciprocal, kTowardsZero));
}

template <int kStreams, bool kWide>
void encode_run(const EncodeTable& table, const EncodeJob* jobs, uint32_t steps) {
  const Halves halves;
  const Slots<kWide> slots(table);
  const __m512i frequencies = _mm512_load_si512(table.frequency);
  const __m512i firsts = _mm512_load_si512(table.first);
  const __m512 reciprocals = _mm512_load_ps(table.reciprocal);
  const __m512 more_reciprocals = _mm512_load_ps(table.reciprocal + 16);
  __m512i first_lanes[kStreams], last_lanes[kStreams];
  std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    first_lanes[s] = _mm512_load_si512(jobs[s].cursor->states);
    last_lanes[s] = _mm512_load_si512(jobs[s].cursor->states + 16);
    next[s] = jobs[s].cursor->next;
  }
  for (uint32_t step = steps; step-- > 0;) {
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      __m512i a = first_lanes[s], b = last_lanes[s];
      const __m256i bytes =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(jobs[s].symbols + size_t{step} * 32));
      const __m512i symbol = _mm512_cvtepu8_epi16(bytes);
      const __m512i frequency = _mm512_permutexvar_epi16(symbol, frequencies);
      const __m512i low = halves.low(a, b), high = halves.high(a, b);
      const __mmask32 emit = _mm512_cmpge_epu16_mask(_mm512_srli_epi16(high, 4), frequency);
      const auto words = static_cast<uint32_t>(_mm_popcnt_u32(emit));
      next[s] -= 2 * size_t{words};
      _mm512_mask_storeu_epi16(next[s], static_cast<__mmask32>((uint64_t{1} << words) - 1),
                               _mm512_maskz_compress_epi16(emit, low));
      const __m512i rest = _mm512_mask_mov_epi16(low, emit, high);
      a = _mm512_mask_srli_epi32(a, static_cast<__mmask16>(emit), a, 16);
      b = _mm512_mask_srli_epi32(b, static_cast<__mmask16>(emit >> 16), b, 16);

      const __m512i of_a = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(bytes));
      const __m512i of_b = _mm512_cvtepu8_epi32(_mm256_extracti128_si256(bytes, 1));
      a = divide(a, _mm512_permutex2var_ps(reciprocals, of_a, more_reciprocals));
      b = divide(b, _mm512_permutex2var_ps(reciprocals, of_b, more_reciprocals));
      __m512i rank = _mm512_sub_epi16(rest, _mm512_mullo_epi16(halves.low(a, b), frequency));
      const __mmask32 too_small = _mm512_cmpge_epu16_mask(rank, frequency);
      rank = _mm512_mask_sub_epi16(rank, too_small, rank, frequency);
      const __m512i slot =
          slots.at(_mm512_add_epi16(rank, _mm512_permutexvar_epi16(symbol, firsts)));

      a = _mm512_slli_epi32(a, 12);
      b = _mm512_slli_epi32(b, 12);
      a = _mm512_mask_add_epi32(a, static_cast<__mmask16>(too_small), a, _mm512_set1_epi32(4096));
      b = _mm512_mask_add_epi32(b, static_cast<__mmask16>(too_small >> 16), b,
                                _mm512_set1_epi32(4096));
      first_lanes[s] = _mm512_or_si512(a, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(slot)));
      last_lanes[s] = _mm512_or_si512(b, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(slot, 1)));
    }
  }
  for (int s = 0; s < kStreams; ++s) {
    _mm512_store_si512(jobs[s].cursor->states, first_lanes[s]);
    _mm512_store_si512(jobs[s].cursor->states + 16, last_lanes[s]);
    jobs[s].cursor->next = next[s];
  }
}

template <int kStreams>
void encode_run(const EncodeTable& table, const EncodeJob* jobs, uint32_t steps) {
  return table.pieces > 32 ? encode_run<kStreams, true>(table, jobs, steps)
                           : encode_run<kStreams, false>(table, jobs, steps);
}

}  // namespace

void encode_symbols(const EncodeTable& table, const EncodeJob* jobs, uint32_t streams,
                    uint32_t steps, uint32_t lanes) {
  if (lanes < 32) return scalar::encode_symbols(table, jobs, streams, steps, lanes);
  switch (streams) {
    case 1:
      return encode_run<1>(table, jobs, steps);
    case 2:
      return encode_run<2>(table, jobs, steps);
    case 3:
      return encode_run<3>(table, jobs, steps);
    default:
      return encode_run<4>(table, jobs, steps);
  }
}

}  // namespace kvcast::kernels::avx512
