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

template <bool kWide>
[[gnu::always_inline]] inline __m512i look_up(__m512i index, const uint16_t* table) {
  const __m512i first = _mm512_loadu_si512(table);
  return kWide ? _mm512_permutex2var_epi16(first, index, _mm512_loadu_si512(table + 32))
               : _mm512_permutexvar_epi16(index, first);
}

// One step of the binary search for the piece of every position.
template <bool kWide>
[[gnu::always_inline]] inline __m512i search(const EncodeTable& table, __m512i position,
                                             __m512i piece, int16_t step) {
  const __mmask32 reached =
      _mm512_cmpge_epu16_mask(position, look_up<kWide>(piece, table.begin + step));
  return _mm512_mask_add_epi16(piece, reached, piece, _mm512_set1_epi16(step));
}

// The slots of 32 positions of at most 32 or (wide) 64 pieces.
template <bool kWide>
[[gnu::always_inline]] inline __m512i slots(const EncodeTable& table, __m512i position) {
  constexpr int16_t kMiddle = kWide ? 32 : 16;
  const __m512i middle = _mm512_set1_epi16(static_cast<int16_t>(table.begin[kMiddle]));
  __m512i piece =
      _mm512_maskz_mov_epi16(_mm512_cmpge_epu16_mask(position, middle), _mm512_set1_epi16(kMiddle));
  if constexpr (kWide) piece = search<kWide>(table, position, piece, 16);
  piece = search<kWide>(table, position, piece, 8);
  piece = search<kWide>(table, position, piece, 4);
  piece = search<kWide>(table, position, piece, 2);
  piece = search<kWide>(table, position, piece, 1);
  return _mm512_add_epi16(position, look_up<kWide>(piece, table.shift));
}

// Quotients of 16 states, exact or one too small: each of the three roundings towards zero takes
// less than 2^-23 of a quotient below 2^20.
[[gnu::always_inline]] inline __m512i divide(__m512i x, __m512 reciprocal) {
  constexpr int kTowardsZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
  return _mm512_cvttps_epi32(
      _mm512_mul_round_ps(_mm512_cvt_roundepu32_ps(x, kTowardsZero), reciprocal, kTowardsZero));
}

// Two vectors of 16 states each.
struct States {
  __m512i a, b;
};

// One step of a stream: the states before it, and where its words begin.
template <bool kWide>
[[gnu::always_inline]] inline void encode_step(const EncodeTable& table, const Halves& halves,
                                               const uint8_t* symbols, States& x,
                                               std::byte*& next) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(symbols));
  const __m512i symbol = _mm512_cvtepu8_epi16(bytes);
  const __m512i frequency = look_up<false>(symbol, table.frequency);
  const __m512i low = halves.low(x.a, x.b), high = halves.high(x.a, x.b);
  const __mmask32 emit = _mm512_cmpge_epu16_mask(_mm512_srli_epi16(high, 4), frequency);
  const auto words = static_cast<uint32_t>(_mm_popcnt_u32(emit));
  next -= 2 * size_t{words};
  _mm512_mask_storeu_epi16(next, static_cast<__mmask32>((uint64_t{1} << words) - 1),
                           _mm512_maskz_compress_epi16(emit, low));
  const __m512i rest = _mm512_mask_mov_epi16(low, emit, high);
  x.a = _mm512_mask_srli_epi32(x.a, static_cast<__mmask16>(emit), x.a, 16);
  x.b = _mm512_mask_srli_epi32(x.b, static_cast<__mmask16>(emit >> 16), x.b, 16);

  const __m512 first = _mm512_load_ps(table.reciprocal);
  const __m512 second = _mm512_load_ps(table.reciprocal + 16);
  const __m512i of_a = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(bytes));
  const __m512i of_b = _mm512_cvtepu8_epi32(_mm256_extracti128_si256(bytes, 1));
  x.a = divide(x.a, _mm512_permutex2var_ps(first, of_a, second));
  x.b = divide(x.b, _mm512_permutex2var_ps(first, of_b, second));
  __m512i rank = _mm512_sub_epi16(rest, _mm512_mullo_epi16(halves.low(x.a, x.b), frequency));
  const __mmask32 too_small = _mm512_cmpge_epu16_mask(rank, frequency);
  rank = _mm512_mask_sub_epi16(rank, too_small, rank, frequency);
  const __m512i slot =
      slots<kWide>(table, _mm512_add_epi16(rank, look_up<false>(symbol, table.first)));

  const __m512i one = _mm512_set1_epi32(4096);  // in a quotient that makes room for a slot
  x.a = _mm512_slli_epi32(x.a, 12);
  x.b = _mm512_slli_epi32(x.b, 12);
  x.a = _mm512_mask_add_epi32(x.a, static_cast<__mmask16>(too_small), x.a, one);
  x.b = _mm512_mask_add_epi32(x.b, static_cast<__mmask16>(too_small >> 16), x.b, one);
  x.a = _mm512_or_si512(x.a, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(slot)));
  x.b = _mm512_or_si512(x.b, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(slot, 1)));
}

// A step is a chain of some 130 cycles with work for about 25: streams hide each other's latency.
template <int kStreams, bool kWide>
void encode_run(const EncodeJob* jobs, uint32_t steps) {
  const Halves halves;
  States x[kStreams];
  std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    x[s].a = _mm512_load_si512(jobs[s].cursor->states);
    x[s].b = _mm512_load_si512(jobs[s].cursor->states + 16);
    next[s] = jobs[s].cursor->next;
  }
  for (uint32_t step = steps; step-- > 0;) {
#pragma GCC unroll 8
    for (int s = 0; s < kStreams; ++s) {
      encode_step<kWide>(*jobs[s].table, halves, jobs[s].symbols + size_t{step} * 32, x[s],
                         next[s]);
    }
  }
  for (int s = 0; s < kStreams; ++s) {
    _mm512_store_si512(jobs[s].cursor->states, x[s].a);
    _mm512_store_si512(jobs[s].cursor->states + 16, x[s].b);
    jobs[s].cursor->next = next[s];
  }
}

template <int kStreams>
void encode_run(const EncodeJob* jobs, uint32_t steps) {
  bool wide = false;
  for (int s = 0; s < kStreams; ++s) wide |= jobs[s].table->pieces > 32;
  wide ? encode_run<kStreams, true>(jobs, steps) : encode_run<kStreams, false>(jobs, steps);
}

}  // namespace

void encode_symbols(const EncodeJob* jobs, uint32_t streams, uint32_t steps, uint32_t lanes) {
  if (lanes < 32) return scalar::encode_symbols(jobs, streams, steps, lanes);
  const EncodeJob* const end = jobs + streams;
  for (; end - jobs >= 8; jobs += 8) encode_run<8>(jobs, steps);
  for (; end - jobs >= 4; jobs += 4) encode_run<4>(jobs, steps);
  for (; end - jobs >= 2; jobs += 2) encode_run<2>(jobs, steps);
  if (jobs < end) encode_run<1>(jobs, steps);
}

}  // namespace kvcast::kernels::avx512
