#include <immintrin.h>

#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels::avx512 {
namespace {

// 32 states, split into their halves.
struct States {
  __m512i low, high;
};

States load(const uint32_t* states) {
  const __m512i first = _mm512_load_si512(states);
  const __m512i second = _mm512_load_si512(states + 16);
  const __m512i low_halves = _mm512_set1_epi32(0xFFFF);
  // Narrowed in two halves of 16 lanes each.
  const auto join = [](__m512i a, __m512i b) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(a)),
                              _mm512_cvtepi32_epi16(b), 1);
  };
  return {join(_mm512_and_si512(first, low_halves), _mm512_and_si512(second, low_halves)),
          join(_mm512_srli_epi32(first, 16), _mm512_srli_epi32(second, 16))};
}

void store(const States& x, uint32_t* states) {
  const auto half = [](__m512i low, __m512i high) {
    return _mm512_or_si512(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(high)), 16),
        _mm512_cvtepu16_epi32(_mm512_castsi512_si256(low)));
  };
  const auto upper = [](__m512i v) { return _mm512_shuffle_i64x2(v, v, 0x0E); };
  _mm512_store_si512(states, half(x.low, x.high));
  _mm512_store_si512(states + 16, half(upper(x.low), upper(x.high)));
}

// A table of 32 indices in one register or of 64 in two.
template <bool kWide>
struct Register {
  __m512i own, alias;

  explicit Register(const uint16_t* table)
      : own(_mm512_loadu_si512(table)), alias(kWide ? _mm512_loadu_si512(table + 32) : own) {}

  [[gnu::always_inline]] __m512i at(__m512i index, __mmask32 is_alias) const {
    if constexpr (!kWide) return _mm512_permutexvar_epi16(index, own);
    return _mm512_mask_permutexvar_epi16(_mm512_permutexvar_epi16(index, own), is_alias, index,
                                         alias);
  }
};

// x = frequency * (x >> 12) + slot + bias, then words for the states below 2^16. Answers the next
// word.
[[gnu::always_inline]] inline const std::byte* advance(States& x, __m512i slot, __m512i frequency,
                                                       __m512i bias, const std::byte* next) {
  const __m512i quotient_low = _mm512_shrdi_epi16(x.low, x.high, 12);
  const __m512i quotient_high = _mm512_srli_epi16(x.high, 12);
  const __m512i rank = _mm512_add_epi16(slot, bias);
  const __m512i low = _mm512_add_epi16(_mm512_mullo_epi16(frequency, quotient_low), rank);
  const __mmask32 carry = _mm512_cmplt_epu16_mask(low, rank);
  const __m512i product_high = _mm512_add_epi16(_mm512_mulhi_epu16(frequency, quotient_low),
                                                _mm512_mullo_epi16(frequency, quotient_high));
  const __m512i high =
      _mm512_mask_add_epi16(product_high, carry, product_high, _mm512_set1_epi16(1));
  const __mmask32 refill = _mm512_testn_epi16_mask(high, high);
  const __m512i words = _mm512_loadu_si512(next);
  x.high = _mm512_mask_mov_epi16(high, refill, low);
  x.low = _mm512_mask_expand_epi16(low, refill, words);
  return next + 2 * static_cast<size_t>(_mm_popcnt_u32(refill));
}

template <int kStreams, bool kWide>
bool decode_run(const AliasRegisters& table, const uint16_t* value, uint16_t escape,
                const SymbolJob* jobs, uint32_t steps, size_t row) {
  const __m512i divider = _mm512_load_si512(table.divider);
  const Register<kWide> frequency(table.frequency), bias(table.bias), values(value);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(table.shift));
  const __m512i slot_mask = _mm512_set1_epi16(0xFFF);
  const __m512i stride = _mm512_set1_epi16(16);
  const __m512i escapes = _mm512_set1_epi16(static_cast<int16_t>(escape));
  States x[kStreams];
  const std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    x[s] = load(jobs[s].cursor->states);
    next[s] = jobs[s].cursor->next;
  }
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      const __m512i slot = _mm512_and_si512(x[s].low, slot_mask);
      __m512i index = _mm512_srl_epi16(slot, shift);
      const __mmask32 is_alias =
          _mm512_cmpge_epu16_mask(slot, _mm512_permutexvar_epi16(index, divider));
      if constexpr (!kWide) index = _mm512_mask_add_epi16(index, is_alias, index, stride);
      const __m512i decoded = values.at(index, is_alias);
      _mm512_storeu_si512(jobs[s].out + step * row, decoded);
      jobs[s].escapes[step] = _mm512_cmpeq_epi16_mask(decoded, escapes);
      next[s] =
          advance(x[s], slot, frequency.at(index, is_alias), bias.at(index, is_alias), next[s]);
      enough &= next[s] <= jobs[s].cursor->end;
    }
  }
  for (int s = 0; s < kStreams; ++s) {
    store(x[s], jobs[s].cursor->states);
    jobs[s].cursor->next = next[s];
  }
  return enough;
}

template <int kStreams>
bool decode_run(const AliasRegisters& table, const uint16_t* value, uint16_t escape,
                const SymbolJob* jobs, uint32_t steps, size_t row) {
  return table.stride == 16 ? decode_run<kStreams, false>(table, value, escape, jobs, steps, row)
                            : decode_run<kStreams, true>(table, value, escape, jobs, steps, row);
}

template <int kStreams>
bool refine_run(const AliasRegisters& table, const RefineJob* jobs, uint32_t steps) {
  const __m512i divider = _mm512_load_si512(table.divider);
  const Register<false> frequency(table.frequency), bias(table.bias);
  alignas(64) uint16_t change[32];
  for (int i = 0; i < 32; ++i)
    change[i] = static_cast<uint16_t>(table.symbol[i] == 2 ? -1 : table.symbol[i]);
  const Register<false> changes(change);
  const __m512i slot_mask = _mm512_set1_epi16(0xFFF);
  const __m512i stride = _mm512_set1_epi16(16), two = _mm512_set1_epi16(2);
  States x[kStreams];
  const std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    x[s] = load(jobs[s].cursor->states);
    next[s] = jobs[s].cursor->next;
  }
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; ++s) {
      int16_t* const at = jobs[s].values + size_t{step} * 32;
      const __m512i before = _mm512_loadu_si512(at);
      const __m512i context = _mm512_min_epu16(_mm512_abs_epi16(before), two);
      const __m512i slot = _mm512_and_si512(x[s].low, slot_mask);
      __m512i index = _mm512_add_epi16(_mm512_slli_epi16(context, 2), _mm512_srli_epi16(slot, 10));
      const __mmask32 is_alias =
          _mm512_cmpge_epu16_mask(slot, _mm512_permutexvar_epi16(index, divider));
      index = _mm512_mask_add_epi16(index, is_alias, index, stride);
      const __m512i bit = changes.at(index, is_alias);
      const __m512i doubled = _mm512_add_epi16(before, before);
      const __m512i after = _mm512_add_epi16(doubled, bit);
      _mm512_storeu_si512(at,
                          _mm512_mask_sub_epi16(after, _mm512_movepi16_mask(before), doubled, bit));
      next[s] =
          advance(x[s], slot, frequency.at(index, is_alias), bias.at(index, is_alias), next[s]);
      enough &= next[s] <= jobs[s].cursor->end;
    }
  }
  for (int s = 0; s < kStreams; ++s) {
    store(x[s], jobs[s].cursor->states);
    jobs[s].cursor->next = next[s];
  }
  return enough;
}

}  // namespace

bool decode_symbols(const AliasRegisters& table, const uint16_t* value, uint16_t escape,
                    const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row) {
  switch (streams) {
    case 1:
      return decode_run<1>(table, value, escape, jobs, steps, row);
    case 2:
      return decode_run<2>(table, value, escape, jobs, steps, row);
    case 3:
      return decode_run<3>(table, value, escape, jobs, steps, row);
    default:
      return decode_run<4>(table, value, escape, jobs, steps, row);
  }
}

bool refine_values(const AliasRegisters& table, const RefineJob* jobs, uint32_t streams,
                   uint32_t steps) {
  switch (streams) {
    case 1:
      return refine_run<1>(table, jobs, steps);
    case 2:
      return refine_run<2>(table, jobs, steps);
    case 3:
      return refine_run<3>(table, jobs, steps);
    default:
      return refine_run<4>(table, jobs, steps);
  }
}

}  // namespace kvcast::kernels::avx512
