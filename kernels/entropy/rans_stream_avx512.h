// Streams of 32 lanes in lock step, a register for each half of a stream's states. Included only by
// files compiled for AVX-512: no other may share its inline functions.
//
// A step is a chain of some 45 cycles with work for about 13, and a processor looks only some three
// steps ahead for work that can start. So each operation is written for all streams before the
// next operation: then what waits is little, and what can start is near.
#pragma once

#include <immintrin.h>

#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels::avx512 {

// Which of 32 lanes there are. All: the compiler knows it.
template <bool kAll>
struct LaneMask {
  __mmask32 mask;

  [[gnu::always_inline]] explicit LaneMask(uint32_t lanes)
      : mask(kAll ? ~__mmask32{0} : ~__mmask32{0} >> (32 - lanes)) {}

  [[gnu::always_inline]] __mmask32 of(__mmask32 lanes) const { return kAll ? lanes : lanes & mask; }
  [[gnu::always_inline]] void store(uint16_t* out, __m512i values) const {
    if constexpr (kAll) {
      _mm512_storeu_si512(out, values);
    } else {
      _mm512_mask_storeu_epi16(out, mask, values);
    }
  }
};

// Streams while they are decoded. Methods of a range [kFirst, kEnd) leave the others alone.
template <int kCount>
struct Streams {
  __m512i low[kCount], high[kCount];  // halves of the states
  const std::byte* next[kCount];

  [[gnu::always_inline]] void open(int s, const RansCursor& cursor) {
    const __m512i first = _mm512_load_si512(cursor.states);
    const __m512i second = _mm512_load_si512(cursor.states + 16);
    const __m512i low_halves = _mm512_set1_epi32(0xFFFF);
    // Narrowed in two halves of 16 lanes each.
    const auto join = [](__m512i a, __m512i b) {
      return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(a)),
                                _mm512_cvtepi32_epi16(b), 1);
    };
    low[s] = join(_mm512_and_si512(first, low_halves), _mm512_and_si512(second, low_halves));
    high[s] = join(_mm512_srli_epi32(first, 16), _mm512_srli_epi32(second, 16));
    next[s] = cursor.next;
  }

  // Leaves the states of absent lanes as they are.
  template <bool kAll>
  [[gnu::always_inline]] void close(int s, LaneMask<kAll> lanes, RansCursor& cursor) const {
    const auto half = [](__m512i low_half, __m512i high_half) {
      return _mm512_or_si512(
          _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(high_half)), 16),
          _mm512_cvtepu16_epi32(_mm512_castsi512_si256(low_half)));
    };
    const auto upper = [](__m512i v) { return _mm512_shuffle_i64x2(v, v, 0x0E); };
    _mm512_mask_store_epi32(cursor.states, static_cast<__mmask16>(lanes.mask),
                            half(low[s], high[s]));
    _mm512_mask_store_epi32(cursor.states + 16, static_cast<__mmask16>(lanes.mask >> 16),
                            half(upper(low[s]), upper(high[s])));
    cursor.next = next[s];
  }

  template <int kFirst = 0, int kEnd = kCount>
  [[gnu::always_inline]] void slots(__m512i (&slot)[kCount]) const {
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s)
      slot[s] = _mm512_and_si512(low[s], _mm512_set1_epi16(0xFFF));
  }

  // x = frequency * (x >> 12) + rank, then words for the states below 2^16.
  template <int kFirst = 0, int kEnd = kCount, bool kAll>
  [[gnu::always_inline]] void advance(LaneMask<kAll> lanes, const __m512i (&frequency)[kCount],
                                      const __m512i (&rank)[kCount]) {
    __m512i product_high[kCount];
    __mmask32 mask[kCount];
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s) {
      const __m512i quotient_low = _mm512_shrdi_epi16(low[s], high[s], 12);
      const __m512i quotient_high = _mm512_srli_epi16(high[s], 12);
      low[s] = _mm512_mullo_epi16(frequency[s], quotient_low);
      product_high[s] = _mm512_mulhi_epu16(frequency[s], quotient_low);
      high[s] = _mm512_mullo_epi16(frequency[s], quotient_high);
    }
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s) {
      low[s] = _mm512_add_epi16(low[s], rank[s]);
      high[s] = _mm512_add_epi16(high[s], product_high[s]);
    }
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s) {
      const __mmask32 carry = _mm512_cmplt_epu16_mask(low[s], rank[s]);
      high[s] = _mm512_mask_add_epi16(high[s], carry, high[s], _mm512_set1_epi16(1));
    }
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s)
      mask[s] = lanes.of(_mm512_testn_epi16_mask(high[s], high[s]));
#pragma GCC unroll 8
    for (int s = kFirst; s < kEnd; ++s) {
      const __m512i words = _mm512_loadu_si512(next[s]);
      high[s] = _mm512_mask_mov_epi16(high[s], mask[s], low[s]);
      low[s] = _mm512_mask_expand_epi16(low[s], mask[s], words);
      next[s] += 2 * static_cast<size_t>(_mm_popcnt_u32(mask[s]));
    }
  }
};

// A table of 32 indices: 16 buckets with their own symbols, then those with their aliases.
struct Table32 {
  __m512i divider, frequency, bias, value;
};

// A base of 16 buckets.
inline Table32 base_table(const AliasRegisters& table, const SymbolValues& values) {
  const auto join = [](const uint16_t* sides) {
    return _mm512_inserti64x4(_mm512_load_si512(sides),
                              _mm256_load_si256(reinterpret_cast<const __m256i*>(sides + 32)), 1);
  };
  return {_mm512_load_si512(table.divider), join(table.frequency), join(table.bias),
          join(values.value)};
}

// A pass: its values are what symbols add to a doubled value.
inline Table32 pass_table(const AliasRegisters& table, uint16_t of_symbol_two) {
  alignas(64) uint16_t change[32];
  for (int i = 0; i < 32; ++i)
    change[i] = table.symbol[i] == 2 ? of_symbol_two : uint16_t{table.symbol[i]};
  return {_mm512_load_si512(table.divider), _mm512_load_si512(table.frequency),
          _mm512_load_si512(table.bias), _mm512_load_si512(change)};
}

// Replaces slots by ranks. Buckets are lost.
template <int kFirst, int kEnd, int kCount>
[[gnu::always_inline]] inline void look_up(const Table32 (&table)[kCount],
                                           __m512i (&bucket)[kCount], __m512i (&slot)[kCount],
                                           __m512i (&frequency)[kCount], __m512i (&value)[kCount]) {
#pragma GCC unroll 8
  for (int s = kFirst; s < kEnd; ++s) {
    const __mmask32 is_alias =
        _mm512_cmpge_epu16_mask(slot[s], _mm512_permutexvar_epi16(bucket[s], table[s].divider));
    bucket[s] = _mm512_mask_add_epi16(bucket[s], is_alias, bucket[s], _mm512_set1_epi16(16));
  }
#pragma GCC unroll 8
  for (int s = kFirst; s < kEnd; ++s) {
    frequency[s] = _mm512_permutexvar_epi16(bucket[s], table[s].frequency);
    slot[s] = _mm512_add_epi16(slot[s], _mm512_permutexvar_epi16(bucket[s], table[s].bias));
    value[s] = _mm512_permutexvar_epi16(bucket[s], table[s].value);
  }
}

// A base of 16 or 32 buckets.
struct Table64 {
  const AliasRegisters* table;
  const uint16_t* value;
  __m512i shift;
};

inline Table64 wide_base_table(const AliasRegisters& table, const SymbolValues& values) {
  return {&table, values.value, _mm512_set1_epi16(static_cast<int16_t>(table.shift))};
}

// Replaces slots by ranks.
template <int kFirst, int kEnd, int kTables, int kCount>
[[gnu::always_inline]] inline void look_up(const Table64 (&table)[kTables], __m512i (&slot)[kCount],
                                           __m512i (&frequency)[kCount], __m512i (&value)[kCount]) {
  __m512i bucket[kTables];
  __mmask32 is_alias[kTables];
#pragma GCC unroll 8
  for (int s = kFirst; s < kEnd; ++s) bucket[s] = _mm512_srlv_epi16(slot[s], table[s].shift);
#pragma GCC unroll 8
  for (int s = kFirst; s < kEnd; ++s) {
    is_alias[s] = _mm512_cmpge_epu16_mask(
        slot[s], _mm512_permutexvar_epi16(bucket[s], _mm512_load_si512(table[s].table->divider)));
  }
  const auto sides = [&](int s, const uint16_t* entries) __attribute__((always_inline)) {
    return _mm512_mask_permutexvar_epi16(
        _mm512_permutexvar_epi16(bucket[s], _mm512_load_si512(entries)), is_alias[s], bucket[s],
        _mm512_load_si512(entries + 32));
  };
#pragma GCC unroll 8
  for (int s = kFirst; s < kEnd; ++s) {
    frequency[s] = sides(s, table[s].table->frequency);
    slot[s] = _mm512_add_epi16(slot[s], sides(s, table[s].table->bias));
    value[s] = sides(s, table[s].value);
  }
}

[[gnu::always_inline]] inline __m512i place_escapes(__m512i value, __mmask32 escapes,
                                                    EscapedValues& escaped) {
  const __m512i values = _mm512_loadu_si512(escaped.next);
  escaped.next += _mm_popcnt_u32(escapes);
  return _mm512_mask_expand_epi16(value, escapes, values);
}

}  // namespace kvcast::kernels::avx512
