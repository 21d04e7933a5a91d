// Steps of one stream of 32 lanes, a register for each half of their states. Included only by files
// compiled for AVX-512: no other may share its inline functions.
#pragma once

#include <immintrin.h>

#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels::avx512 {

// 32 states, split into their halves.
struct States {
  __m512i low, high;
};

inline States load(const uint32_t* states) {
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

inline void store(const States& x, __mmask32 lanes, uint32_t* states) {
  const auto half = [](__m512i low, __m512i high) {
    return _mm512_or_si512(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(high)), 16),
        _mm512_cvtepu16_epi32(_mm512_castsi512_si256(low)));
  };
  const auto upper = [](__m512i v) { return _mm512_shuffle_i64x2(v, v, 0x0E); };
  _mm512_mask_store_epi32(states, static_cast<__mmask16>(lanes), half(x.low, x.high));
  _mm512_mask_store_epi32(states + 16, static_cast<__mmask16>(lanes >> 16),
                          half(upper(x.low), upper(x.high)));
}

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

// A stream while it is decoded.
struct Stream {
  States x;
  const std::byte* next;

  [[gnu::always_inline]] void open(const RansCursor& cursor) {
    x = load(cursor.states);
    next = cursor.next;
  }
  template <bool kAll>
  [[gnu::always_inline]] void close(LaneMask<kAll> lanes, RansCursor& cursor) const {
    store(x, lanes.mask, cursor.states);
    cursor.next = next;
  }
  [[gnu::always_inline]] __m512i slot() const {
    return _mm512_and_si512(x.low, _mm512_set1_epi16(0xFFF));
  }

  // x = frequency * (x >> 12) + slot + bias, then words for the states below 2^16.
  template <bool kAll>
  [[gnu::always_inline]] void advance(LaneMask<kAll> lanes, __m512i slot, __m512i frequency,
                                      __m512i bias) {
    const __m512i quotient_low = _mm512_shrdi_epi16(x.low, x.high, 12);
    const __m512i quotient_high = _mm512_srli_epi16(x.high, 12);
    const __m512i rank = _mm512_add_epi16(slot, bias);
    const __m512i low = _mm512_add_epi16(_mm512_mullo_epi16(frequency, quotient_low), rank);
    const __mmask32 carry = _mm512_cmplt_epu16_mask(low, rank);
    const __m512i product_high = _mm512_add_epi16(_mm512_mulhi_epu16(frequency, quotient_low),
                                                  _mm512_mullo_epi16(frequency, quotient_high));
    const __m512i high =
        _mm512_mask_add_epi16(product_high, carry, product_high, _mm512_set1_epi16(1));
    const __mmask32 refill = lanes.of(_mm512_testn_epi16_mask(high, high));
    const __m512i words = _mm512_loadu_si512(next);
    x.high = _mm512_mask_mov_epi16(high, refill, low);
    x.low = _mm512_mask_expand_epi16(low, refill, words);
    next += 2 * static_cast<size_t>(_mm_popcnt_u32(refill));
  }
};

[[gnu::always_inline]] inline __mmask32 on_alias_side(const AliasRegisters& table, __m512i slot,
                                                      __m512i bucket) {
  const __m512i divider = _mm512_permutexvar_epi16(bucket, _mm512_load_si512(table.divider));
  return _mm512_cmpge_epu16_mask(slot, divider);
}

// Decodes a symbol of each lane and answers its value.
template <bool kAll>
[[gnu::always_inline]] inline __m512i decode_base(Stream& stream, LaneMask<kAll> lanes,
                                                  const AliasRegisters& table,
                                                  const SymbolValues& values) {
  const __m512i slot = stream.slot();
  const __m512i bucket = _mm512_srl_epi16(slot, _mm_cvtsi32_si128(static_cast<int>(table.shift)));
  const __mmask32 is_alias = on_alias_side(table, slot, bucket);
  const auto at = [&](const uint16_t* entries) {
    return _mm512_mask_permutexvar_epi16(
        _mm512_permutexvar_epi16(bucket, _mm512_load_si512(entries)), is_alias, bucket,
        _mm512_load_si512(entries + 32));
  };
  const __m512i value = at(values.value);
  stream.advance(lanes, slot, at(table.frequency), at(table.bias));
  return value;
}

// Decodes a symbol of a pass, given 4 * context of each lane; answers its entry in `changes`.
template <bool kAll>
[[gnu::always_inline]] inline __m512i decode_change(Stream& stream, LaneMask<kAll> lanes,
                                                    const AliasRegisters& table, __m512i context,
                                                    __m512i changes) {
  const __m512i slot = stream.slot();
  const __m512i bucket = _mm512_add_epi16(context, _mm512_srli_epi16(slot, 10));
  const __mmask32 is_alias = on_alias_side(table, slot, bucket);
  const __m512i index = _mm512_mask_add_epi16(bucket, is_alias, bucket, _mm512_set1_epi16(16));
  const __m512i change = _mm512_permutexvar_epi16(index, changes);
  stream.advance(lanes, slot, _mm512_permutexvar_epi16(index, _mm512_load_si512(table.frequency)),
                 _mm512_permutexvar_epi16(index, _mm512_load_si512(table.bias)));
  return change;
}

// What the 32 indices of a pass add to a doubled value.
inline __m512i changes_of(const AliasRegisters& table, uint16_t of_symbol_two) {
  alignas(64) uint16_t change[32];
  for (int i = 0; i < 32; ++i)
    change[i] = table.symbol[i] == 2 ? of_symbol_two : uint16_t{table.symbol[i]};
  return _mm512_load_si512(change);
}

[[gnu::always_inline]] inline __m512i place_escapes(__m512i value, __mmask32 escapes,
                                                    EscapedValues& escaped) {
  const __m512i values = _mm512_loadu_si512(escaped.next);
  escaped.next += _mm_popcnt_u32(escapes);
  return _mm512_mask_expand_epi16(value, escapes, values);
}

}  // namespace kvcast::kernels::avx512
