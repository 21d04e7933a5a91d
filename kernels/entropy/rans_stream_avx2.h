// Steps of one stream of 32 lanes, with 16-bit halves of its states in four registers and all that
// tables are asked for as bytes: one register holds a byte of every lane. Included only by files
// compiled for AVX2: no other may share its inline functions.
#pragma once

#include <immintrin.h>

#include "kernels/entropy/byte_tables_avx2.h"
#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels::avx2 {

// Where the 16-byte shuffle of 8 lanes takes words from: [mask of lanes that take one].
struct WordShuffles {
  alignas(16) uint8_t bytes[256][16];
};

constexpr WordShuffles make_word_shuffles() {
  WordShuffles made{};
  for (int mask = 0; mask < 256; ++mask) {
    int word = 0;
    for (int lane = 0; lane < 8; ++lane) {
      const bool takes = (mask >> lane & 1) != 0;
      made.bytes[mask][2 * lane] = static_cast<uint8_t>(takes ? 2 * word : 0x80);
      made.bytes[mask][2 * lane + 1] = static_cast<uint8_t>(takes ? 2 * word + 1 : 0x80);
      word += takes;
    }
  }
  return made;
}

inline constexpr WordShuffles kWordShuffles = make_word_shuffles();

inline constexpr uint16_t kFlip = 0x8000;  // makes signed comparisons unsigned

[[gnu::always_inline]] inline __m128i spread_words(const std::byte*& next, uint32_t lanes) {
  const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next));
  next += 2 * static_cast<size_t>(_mm_popcnt_u32(lanes));
  return _mm_shuffle_epi8(
      words, _mm_load_si128(reinterpret_cast<const __m128i*>(kWordShuffles.bytes[lanes])));
}

// Which of 32 lanes there are. All: the compiler knows it.
template <bool kAll>
struct LaneMask {
  uint32_t count;
  Lanes mask;  // all ones where there is a lane

  explicit LaneMask(uint32_t lanes) : count(lanes) {
    if constexpr (kAll) return;
    alignas(32) int16_t ones[32];
    for (uint32_t lane = 0; lane < 32; ++lane) ones[lane] = lane < lanes ? -1 : 0;
    for (int h = 0; h < 2; ++h)
      mask.half[h] = _mm256_load_si256(reinterpret_cast<const __m256i*>(ones) + h);
  }

  [[gnu::always_inline]] uint32_t of(uint32_t lanes) const {
    return kAll ? lanes : lanes & ~0u >> (32 - count);
  }
  [[gnu::always_inline]] void store(uint16_t* out, const Lanes& values) const {
    alignas(32) uint16_t row[32];
    uint16_t* const to = kAll ? out : row;
    for (int h = 0; h < 2; ++h)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to) + h, values.half[h]);
    for (uint32_t lane = 0; !kAll && lane < count; ++lane) out[lane] = row[lane];
  }
};

// A stream while it is decoded.
struct Stream {
  Lanes low, high;
  const std::byte* next;

  [[gnu::always_inline]] void open(const RansCursor& cursor) {
    alignas(32) uint16_t low_halves[32], high_halves[32];
    for (int i = 0; i < 32; ++i) {
      low_halves[i] = static_cast<uint16_t>(cursor.states[i]);
      high_halves[i] = static_cast<uint16_t>(cursor.states[i] >> 16);
    }
    for (int h = 0; h < 2; ++h) {
      low.half[h] = _mm256_load_si256(reinterpret_cast<const __m256i*>(low_halves) + h);
      high.half[h] = _mm256_load_si256(reinterpret_cast<const __m256i*>(high_halves) + h);
    }
    next = cursor.next;
  }

  // Leaves the states of absent lanes as they are.
  void close(uint32_t lanes, RansCursor& cursor) const {
    alignas(32) uint16_t low_halves[32], high_halves[32];
    for (int h = 0; h < 2; ++h) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(low_halves) + h, low.half[h]);
      _mm256_store_si256(reinterpret_cast<__m256i*>(high_halves) + h, high.half[h]);
    }
    for (uint32_t i = 0; i < lanes; ++i)
      cursor.states[i] = low_halves[i] | uint32_t{high_halves[i]} << 16;
    cursor.next = next;
  }

  [[gnu::always_inline]] Lanes slots() const {
    const __m256i mask = _mm256_set1_epi16(0xFFF);
    return {{_mm256_and_si256(low.half[0], mask), _mm256_and_si256(low.half[1], mask)}};
  }

  // x = frequency * (x >> 12) + slot + bias, then words for the states below 2^16. The top bits of
  // `bias` are flipped.
  template <bool kAll>
  [[gnu::always_inline]] void advance(const LaneMask<kAll>& lanes, const Lanes& slot,
                                      const Lanes& frequency, const Lanes& bias) {
    __m256i below[2];
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      const __m256i f = frequency.half[h];
      const __m256i quotient_low =
          _mm256_or_si256(_mm256_srli_epi16(low.half[h], 12), _mm256_slli_epi16(high.half[h], 4));
      const __m256i quotient_high = _mm256_srli_epi16(high.half[h], 12);
      const __m256i rank = _mm256_add_epi16(slot.half[h], bias.half[h]);
      const __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(f, quotient_low), rank);
      const __m256i carry = _mm256_cmpgt_epi16(rank, sum);
      const __m256i product_high = _mm256_add_epi16(_mm256_mulhi_epu16(f, quotient_low),
                                                    _mm256_mullo_epi16(f, quotient_high));
      low.half[h] = _mm256_xor_si256(sum, _mm256_set1_epi16(static_cast<int16_t>(kFlip)));
      high.half[h] = _mm256_sub_epi16(product_high, carry);
      below[h] = _mm256_cmpeq_epi16(high.half[h], _mm256_setzero_si256());
      if constexpr (!kAll) below[h] = _mm256_and_si256(below[h], lanes.mask.half[h]);
    }
    refill(below);
  }

 private:
  [[gnu::always_inline]] void refill(const __m256i below[2]) {
    const auto mask =
        static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(below[0], below[1])));
    const __m128i words0 = spread_words(next, mask & 0xFF);
    const __m128i words1 = spread_words(next, mask >> 16 & 0xFF);
    const __m128i words2 = spread_words(next, mask >> 8 & 0xFF);
    const __m128i words3 = spread_words(next, mask >> 24);
    const __m256i words[2] = {_mm256_inserti128_si256(_mm256_castsi128_si256(words0), words1, 1),
                              _mm256_inserti128_si256(_mm256_castsi128_si256(words2), words3, 1)};
#pragma GCC unroll 2
    for (int h = 0; h < 2; ++h) {
      high.half[h] = _mm256_blendv_epi8(high.half[h], low.half[h], below[h]);
      low.half[h] = _mm256_blendv_epi8(low.half[h], words[h], below[h]);
    }
  }
};

// The tables of a base, 16 or 32 buckets.
template <bool kWide>
struct BaseTables {
  ByteTable<kWide> divider, alias_bucket;  // of slots in their bucket
  WordTable<kWide> frequency;              // by a bucket that has the symbol as its own
  SideTable<kWide> bias;

  static constexpr int kShift = kWide ? 7 : 8;
  static constexpr int16_t kSlotInBucket = (1 << kShift) - 1;

  explicit BaseTables(const AliasRegisters& table)
      : frequency(table.frequency), bias(table.bias, 32, kFlip) {
    alignas(32) uint8_t in_bucket[32];
    for (int b = 0; b < (kWide ? 32 : 16); ++b)
      in_bucket[b] = static_cast<uint8_t>(table.divider[b] - (b << kShift));
    for (int i = 0; i < (kWide ? 2 : 1); ++i) {
      divider.part[i] = load_bytes(in_bucket + 16 * i);
      alias_bucket.part[i] = load_bytes(table.alias_bucket + 16 * i);
    }
  }
};

// Decodes a symbol of each lane; answers a bucket that has it as its own.
template <bool kWide, bool kAll>
[[gnu::always_inline]] inline __m256i decode_base(Stream& stream, const LaneMask<kAll>& lanes,
                                                  const BaseTables<kWide>& tables) {
  constexpr int kShift = BaseTables<kWide>::kShift;
  const Lanes slot = stream.slots();
  const __m256i in_bucket = _mm256_set1_epi16(BaseTables<kWide>::kSlotInBucket);
  const __m256i bucket = _mm256_packus_epi16(_mm256_srli_epi16(slot.half[0], kShift),
                                             _mm256_srli_epi16(slot.half[1], kShift));
  const __m256i offset = _mm256_packus_epi16(_mm256_and_si256(stream.low.half[0], in_bucket),
                                             _mm256_and_si256(stream.low.half[1], in_bucket));
  const Index<kWide> index(bucket);
  // A full bucket's divider may have become 0: its sides are the same.
  const __m256i is_alias =
      _mm256_cmpeq_epi8(_mm256_max_epu8(offset, tables.divider.at(index)), offset);
  const __m256i owner = _mm256_blendv_epi8(bucket, tables.alias_bucket.at(index), is_alias);
  stream.advance(lanes, slot, tables.frequency.at(Index<kWide>(owner)),
                 tables.bias.at(index, is_alias));
  return owner;
}

// The tables of a pass: 12 buckets. `change`: what a symbol makes of a doubled value.
struct PassTables {
  WordTable<false> before_divider, frequency;
  ByteTable<false> alias_bucket, change;
  SideTable<false> bias;

  PassTables(const AliasRegisters& table, uint8_t change_of_two)
      : before_divider(last_slots(table).slot),
        frequency(table.frequency),
        bias(table.bias, 16, kFlip) {
    alignas(16) uint8_t changes[16];
    for (int b = 0; b < 16; ++b)
      changes[b] = table.symbol[b] == 2 ? change_of_two : table.symbol[b];
    change.part[0] = load_bytes(changes);
    alias_bucket.part[0] = load_bytes(table.alias_bucket);
  }

 private:
  struct LastSlots {
    uint16_t slot[16];
  };
  // The last slots of the buckets' own sides, -1 where that is empty.
  static LastSlots last_slots(const AliasRegisters& table) {
    LastSlots last;
    for (int b = 0; b < 16; ++b) last.slot[b] = static_cast<uint16_t>(table.divider[b] - 1);
    return last;
  }
};

// Decodes a symbol of a pass, given 4 * context as bytes; answers its change.
template <bool kAll>
[[gnu::always_inline]] inline __m256i decode_change(Stream& stream, const LaneMask<kAll>& lanes,
                                                    const PassTables& tables, __m256i context) {
  const Lanes slot = stream.slots();
  const __m256i bucket =
      _mm256_add_epi8(context, _mm256_packus_epi16(_mm256_srli_epi16(slot.half[0], 10),
                                                   _mm256_srli_epi16(slot.half[1], 10)));
  const Index<false> index(bucket);
  const Lanes last = tables.before_divider.at(index);
  const __m256i is_alias = _mm256_packs_epi16(_mm256_cmpgt_epi16(slot.half[0], last.half[0]),
                                              _mm256_cmpgt_epi16(slot.half[1], last.half[1]));
  const Index<false> owner(_mm256_blendv_epi8(bucket, tables.alias_bucket.at(index), is_alias));
  stream.advance(lanes, slot, tables.frequency.at(owner), tables.bias.at(index, is_alias));
  return tables.change.at(owner);
}

}  // namespace kvcast::kernels::avx2
