#include <immintrin.h>

#include "kernels/entropy/rans_encode_kernels.h"

namespace kvcast::kernels::avx512 {
namespace {

// Some streams of 32 lanes in lock step, a register for each half of a stream's states. A step is a
// chain of some 130 cycles with work for about 30, so each operation is written for all streams
// before the next, as in kernels/entropy/rans_stream_avx512.h.
//
// Quotients are made of 32-bit numbers: two registers a stream, whose lanes are in the order in
// which 16-bit halves unpack, and pack again.
template <int kCount>
struct Streams {
  __m512i low[kCount], high[kCount];
  std::byte* next[kCount];

  void open(int s, const EncodeCursor& cursor) {
    const __m512i halves =
        _mm512_set_epi16(62, 60, 58, 56, 54, 52, 50, 48, 46, 44, 42, 40, 38, 36, 34, 32, 30, 28, 26,
                         24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i a = _mm512_load_si512(cursor.states), b = _mm512_load_si512(cursor.states + 16);
    low[s] = _mm512_permutex2var_epi16(a, halves, b);
    high[s] = _mm512_permutex2var_epi16(a, _mm512_add_epi16(halves, _mm512_set1_epi16(1)), b);
    next[s] = cursor.next;
  }

  void close(int s, EncodeCursor& cursor) const {
    alignas(64) uint16_t low_halves[32], high_halves[32];
    _mm512_store_si512(low_halves, low[s]);
    _mm512_store_si512(high_halves, high[s]);
    for (int lane = 0; lane < 32; ++lane)
      cursor.states[lane] = low_halves[lane] | uint32_t{high_halves[lane]} << 16;
    cursor.next = next[s];
  }

  // Stores a word of each lane that has no room for a symbol of its frequency.
  [[gnu::always_inline]] void emit(const __m512i (&frequency)[kCount]) {
    __mmask32 full[kCount];
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s)
      full[s] = _mm512_cmpge_epu16_mask(_mm512_srli_epi16(high[s], 4), frequency[s]);
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s) {
      const auto words = static_cast<uint32_t>(_mm_popcnt_u32(full[s]));
      next[s] -= 2 * size_t{words};
      _mm512_mask_storeu_epi16(next[s], static_cast<__mmask32>((uint64_t{1} << words) - 1),
                               _mm512_maskz_compress_epi16(full[s], low[s]));
    }
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s) {
      low[s] = _mm512_mask_mov_epi16(low[s], full[s], high[s]);
      high[s] = _mm512_maskz_mov_epi16(static_cast<__mmask32>(~full[s]), high[s]);
    }
  }
};

template <bool kWide>
[[gnu::always_inline]] inline __m512i look_up(__m512i index, const uint16_t* table) {
  const __m512i first = _mm512_loadu_si512(table);
  return kWide ? _mm512_permutex2var_epi16(first, index, _mm512_loadu_si512(table + 32))
               : _mm512_permutexvar_epi16(index, first);
}

// Quotients of 16 states, exact or one too small: each of the three roundings towards zero takes
// less than 2^-23 of a quotient below 2^20.
[[gnu::always_inline]] inline __m512i divide(__m512i x, __m512 reciprocal) {
  constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  return _mm512_cvttps_epi32(
      _mm512_mul_round_ps(_mm512_cvt_roundepu32_ps(x, kTowardsZero), reciprocal, kTowardsZero));
}

// Replaces positions by slots: of at most 32 or (wide) 64 pieces, the one of each position by
// binary search.
template <bool kWide, int kCount>
[[gnu::always_inline]] inline void find_slots(const EncodeJob* jobs, __m512i (&position)[kCount]) {
  constexpr int16_t kMiddle = kWide ? 32 : 16;
  __m512i piece[kCount];
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s) {
    const __m512i middle = _mm512_set1_epi16(static_cast<int16_t>(jobs[s].table->begin[kMiddle]));
    piece[s] = _mm512_maskz_mov_epi16(_mm512_cmpge_epu16_mask(position[s], middle),
                                      _mm512_set1_epi16(kMiddle));
  }
#pragma GCC unroll 5
  for (int16_t step = kMiddle / 2; step > 0; step = static_cast<int16_t>(step / 2)) {
#pragma GCC unroll 8
    for (int s = 0; s < kCount; ++s) {
      const __mmask32 reached = _mm512_cmpge_epu16_mask(
          position[s], look_up<kWide>(piece[s], jobs[s].table->begin + step));
      piece[s] = _mm512_mask_add_epi16(piece[s], reached, piece[s], _mm512_set1_epi16(step));
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s)
    position[s] = _mm512_add_epi16(position[s], look_up<kWide>(piece[s], jobs[s].table->shift));
}

// One step of each stream: its states before the step, and where its words begin.
template <bool kWide, int kCount>
[[gnu::always_inline]] inline void encode_step(const EncodeJob* jobs, size_t step,
                                               Streams<kCount>& streams) {
  __m512i symbol[kCount], frequency[kCount], quotient[kCount], slot[kCount];
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s) {
    symbol[s] = _mm512_cvtepu8_epi16(
        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(jobs[s].symbols + step * 32)));
    frequency[s] = look_up<false>(symbol[s], jobs[s].table->frequency);
  }
  streams.emit(frequency);
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s) {
    const auto half = [&](__m512i x, __m512i index) __attribute__((always_inline)) {
      return divide(x, _mm512_permutex2var_ps(_mm512_load_ps(jobs[s].table->reciprocal), index,
                                              _mm512_load_ps(jobs[s].table->reciprocal + 16)));
    };
    const __m512i zero = _mm512_setzero_si512(), low_half = _mm512_set1_epi32(0xFFFF);
    const __m512i a = half(_mm512_unpacklo_epi16(streams.low[s], streams.high[s]),
                           _mm512_unpacklo_epi16(symbol[s], zero));
    const __m512i b = half(_mm512_unpackhi_epi16(streams.low[s], streams.high[s]),
                           _mm512_unpackhi_epi16(symbol[s], zero));
    quotient[s] = _mm512_packus_epi32(_mm512_and_si512(a, low_half), _mm512_and_si512(b, low_half));
    streams.high[s] = _mm512_packus_epi32(_mm512_srli_epi32(a, 4), _mm512_srli_epi32(b, 4));
  }
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s) {
    const __m512i one = _mm512_set1_epi16(1);
    __m512i rank = _mm512_sub_epi16(streams.low[s], _mm512_mullo_epi16(quotient[s], frequency[s]));
    const __mmask32 too_small = _mm512_cmpge_epu16_mask(rank, frequency[s]);
    rank = _mm512_mask_sub_epi16(rank, too_small, rank, frequency[s]);
    slot[s] = _mm512_add_epi16(rank, look_up<false>(symbol[s], jobs[s].table->first));
    quotient[s] = _mm512_mask_add_epi16(quotient[s], too_small, quotient[s], one);
    const __mmask32 carry =
        _mm512_mask_testn_epi16_mask(too_small, quotient[s], _mm512_set1_epi16(15));
    streams.high[s] = _mm512_mask_add_epi16(streams.high[s], carry, streams.high[s], one);
  }
  find_slots<kWide>(jobs, slot);
#pragma GCC unroll 8
  for (int s = 0; s < kCount; ++s)
    streams.low[s] = _mm512_or_si512(_mm512_slli_epi16(quotient[s], 12), slot[s]);
}

template <int kCount, bool kWide>
void encode_run(const EncodeJob* jobs, uint32_t steps) {
  Streams<kCount> streams;
  for (int s = 0; s < kCount; ++s) streams.open(s, *jobs[s].cursor);
  for (uint32_t step = steps; step-- > 0;) encode_step<kWide>(jobs, step, streams);
  for (int s = 0; s < kCount; ++s) streams.close(s, *jobs[s].cursor);
}

template <int kCount>
void encode_run(const EncodeJob* jobs, uint32_t steps) {
  bool wide = false;
  for (int s = 0; s < kCount; ++s) wide |= jobs[s].table->pieces > 32;
  wide ? encode_run<kCount, true>(jobs, steps) : encode_run<kCount, false>(jobs, steps);
}

}  // namespace

void encode_symbols(const EncodeJob* jobs, uint32_t streams, uint32_t steps, uint32_t lanes) {
  if (lanes < 32) return scalar::encode_symbols(jobs, streams, steps, lanes);
  const EncodeJob* const end = jobs + streams;
  for (; end - jobs >= 4; jobs += 4) encode_run<4>(jobs, steps);
  for (; end - jobs >= 2; jobs += 2) encode_run<2>(jobs, steps);
  if (jobs < end) encode_run<1>(jobs, steps);
}

}  // namespace kvcast::kernels::avx512
