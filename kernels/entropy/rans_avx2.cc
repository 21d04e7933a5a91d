#include <immintrin.h>

#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels::avx2 {
namespace {

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

constexpr WordShuffles kWordShuffles = make_word_shuffles();

// 32 states, split into their halves: [0] lanes 0-15, [1] lanes 16-31.
struct States {
  __m256i low[2], high[2];
};

States load(const uint32_t* states) {
  alignas(32) uint16_t low[32], high[32];
  for (int i = 0; i < 32; ++i) {
    low[i] = static_cast<uint16_t>(states[i]);
    high[i] = static_cast<uint16_t>(states[i] >> 16);
  }
  const auto at = [](const uint16_t* halves, int i) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(halves) + i);
  };
  return {{at(low, 0), at(low, 1)}, {at(high, 0), at(high, 1)}};
}

void store(const States& x, uint32_t* states) {
  alignas(32) uint16_t low[32], high[32];
  for (int i = 0; i < 2; ++i) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(low) + i, x.low[i]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(high) + i, x.high[i]);
  }
  for (int i = 0; i < 32; ++i) states[i] = low[i] | uint32_t{high[i]} << 16;
}

// Shuffle indices of 16 lanes for the low and for the high bytes of table entries; a byte with its
// top bit set selects nothing. [1]: entries 16-31.
template <bool kWide>
struct Index {
  __m256i low[kWide ? 2 : 1], high[kWide ? 2 : 1];

  [[gnu::always_inline]] explicit Index(__m256i entry) {
    const __m256i none = _mm256_set1_epi16(0x0080);
    low[0] = _mm256_add_epi16(entry, _mm256_set1_epi16(static_cast<int16_t>(0x8070)));
    high[0] = _mm256_or_si256(_mm256_slli_epi16(low[0], 8), none);
    if constexpr (kWide) {
      low[1] = _mm256_add_epi16(entry, _mm256_set1_epi16(static_cast<int16_t>(0x80F0)));
      high[1] = _mm256_or_si256(_mm256_slli_epi16(low[1], 8), none);
    }
  }
};

// 16 or 32 entries of 16 bits, as shuffle tables of their bytes.
template <bool kWide>
struct Table {
  __m256i low[kWide ? 2 : 1], high[kWide ? 2 : 1];

  Table(const uint16_t* entries, uint16_t flip) {
    for (int part = 0; part < (kWide ? 2 : 1); ++part) {
      alignas(16) uint8_t low_bytes[16], high_bytes[16];
      for (int i = 0; i < 16; ++i) {
        const auto entry = static_cast<uint16_t>(entries[16 * part + i] ^ flip);
        low_bytes[i] = static_cast<uint8_t>(entry);
        high_bytes[i] = static_cast<uint8_t>(entry >> 8);
      }
      low[part] =
          _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<__m128i*>(low_bytes)));
      high[part] =
          _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<__m128i*>(high_bytes)));
    }
  }

  [[gnu::always_inline]] __m256i at(const Index<kWide>& index) const {
    __m256i entry = _mm256_or_si256(_mm256_shuffle_epi8(low[0], index.low[0]),
                                    _mm256_shuffle_epi8(high[0], index.high[0]));
    if constexpr (kWide) {
      const __m256i upper = _mm256_or_si256(_mm256_shuffle_epi8(low[1], index.low[1]),
                                            _mm256_shuffle_epi8(high[1], index.high[1]));
      entry = _mm256_or_si256(entry, upper);
    }
    return entry;
  }
};

// What slots of a bucket hold: of its own symbol, and of its alias.
template <bool kWide>
struct Sides {
  Table<kWide> own, alias;

  explicit Sides(const uint16_t* entries, uint16_t flip = 0)
      : own(entries, flip), alias(entries + (kWide ? 32 : 16), flip) {}

  [[gnu::always_inline]] __m256i at(const Index<kWide>& index, __m256i is_own) const {
    return _mm256_blendv_epi8(alias.at(index), own.at(index), is_own);
  }
};

constexpr uint16_t kFlip = 0x8000;  // makes signed comparisons unsigned

// 16 lanes: x = frequency * (x >> 12) + rank. `rank`: its top bit flipped. Answers which lanes are
// below 2^16.
[[gnu::always_inline]] inline __m256i advance(__m256i& low, __m256i& high, __m256i frequency,
                                              __m256i rank) {
  const __m256i quotient_low =
      _mm256_or_si256(_mm256_srli_epi16(low, 12), _mm256_slli_epi16(high, 4));
  const __m256i quotient_high = _mm256_srli_epi16(high, 12);
  const __m256i sum = _mm256_add_epi16(_mm256_mullo_epi16(frequency, quotient_low), rank);
  const __m256i carry = _mm256_cmpgt_epi16(rank, sum);
  const __m256i product_high = _mm256_add_epi16(_mm256_mulhi_epu16(frequency, quotient_low),
                                                _mm256_mullo_epi16(frequency, quotient_high));
  low = _mm256_xor_si256(sum, _mm256_set1_epi16(static_cast<int16_t>(kFlip)));
  high = _mm256_sub_epi16(product_high, carry);
  return _mm256_cmpeq_epi16(high, _mm256_setzero_si256());
}

[[gnu::always_inline]] inline __m128i spread_words(const std::byte*& next, uint32_t lanes) {
  const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(next));
  next += 2 * static_cast<size_t>(_mm_popcnt_u32(lanes));
  return _mm_shuffle_epi8(
      words, _mm_load_si128(reinterpret_cast<const __m128i*>(kWordShuffles.bytes[lanes])));
}

// Gives words to the lanes below 2^16, in lane order.
[[gnu::always_inline]] inline void refill(States& x, __m256i low_first, __m256i low_second,
                                          const std::byte*& next) {
  // Packing interleaves the 128-bit halves: lanes 0-7, 16-23, 8-15, 24-31.
  const auto mask =
      static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(low_first, low_second)));
  const __m128i words0 = spread_words(next, mask & 0xFF);
  const __m128i words1 = spread_words(next, mask >> 16 & 0xFF);
  const __m128i words2 = spread_words(next, mask >> 8 & 0xFF);
  const __m128i words3 = spread_words(next, mask >> 24);
  const auto take = [](__m256i& low, __m256i& high, __m128i first, __m128i second, __m256i takes) {
    const __m256i words = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    high = _mm256_blendv_epi8(high, low, takes);
    low = _mm256_blendv_epi8(low, words, takes);
  };
  take(x.low[0], x.high[0], words0, words1, low_first);
  take(x.low[1], x.high[1], words2, words3, low_second);
}

[[gnu::always_inline]] inline uint32_t lane_mask(__m256i first, __m256i second) {
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(first, second), 0xD8);
  return static_cast<uint32_t>(_mm256_movemask_epi8(packed));
}

template <int kStreams, bool kWide>
bool decode_run(const AliasRegisters& table, const uint16_t* value, uint16_t escape,
                const SymbolJob* jobs, uint32_t steps, size_t row) {
  const Table<kWide> divider(table.divider, 0);
  const Sides<kWide> frequency(table.frequency), bias(table.bias, kFlip), values(value);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(table.shift));
  const __m256i slot_mask = _mm256_set1_epi16(0xFFF);
  const __m256i escapes = _mm256_set1_epi16(static_cast<int16_t>(escape));
  States x[kStreams];
  const std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    x[s] = load(jobs[s].cursor->states);
    next[s] = jobs[s].cursor->next;
  }
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 2
    for (int s = 0; s < kStreams; ++s) {
      __m256i below[2], decoded[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m256i slot = _mm256_and_si256(x[s].low[half], slot_mask);
        const Index<kWide> index(_mm256_srl_epi16(slot, shift));
        const __m256i is_own = _mm256_cmpgt_epi16(divider.at(index), slot);
        decoded[half] = values.at(index, is_own);
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(jobs[s].out + step * row + 16 * size_t(half)),
            decoded[half]);
        below[half] = advance(x[s].low[half], x[s].high[half], frequency.at(index, is_own),
                              _mm256_add_epi16(slot, bias.at(index, is_own)));
      }
      refill(x[s], below[0], below[1], next[s]);
      jobs[s].escapes[step] = lane_mask(_mm256_cmpeq_epi16(decoded[0], escapes),
                                        _mm256_cmpeq_epi16(decoded[1], escapes));
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
bool refine_run(const AliasRegisters& table, const RefineJob* jobs, uint32_t steps) {
  alignas(32) uint16_t change[32];
  for (int i = 0; i < 32; ++i)
    change[i] = static_cast<uint16_t>(table.symbol[i] == 2 ? -1 : table.symbol[i]);
  const Table<false> divider(table.divider, 0);
  const Sides<false> frequency(table.frequency), bias(table.bias, kFlip), changes(change);
  const __m256i slot_mask = _mm256_set1_epi16(0xFFF), two = _mm256_set1_epi16(2);
  States x[kStreams];
  const std::byte* next[kStreams];
  for (int s = 0; s < kStreams; ++s) {
    x[s] = load(jobs[s].cursor->states);
    next[s] = jobs[s].cursor->next;
  }
  bool enough = true;
  for (uint32_t step = 0; step < steps && enough; ++step) {
#pragma GCC unroll 2
    for (int s = 0; s < kStreams; ++s) {
      __m256i below[2];
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        auto* const at = reinterpret_cast<__m256i*>(jobs[s].values + size_t{step} * 32) + half;
        const __m256i before = _mm256_loadu_si256(at);
        const __m256i context = _mm256_min_epu16(_mm256_abs_epi16(before), two);
        const __m256i slot = _mm256_and_si256(x[s].low[half], slot_mask);
        const Index<false> index(
            _mm256_add_epi16(_mm256_slli_epi16(context, 2), _mm256_srli_epi16(slot, 10)));
        const __m256i is_own = _mm256_cmpgt_epi16(divider.at(index), slot);
        const __m256i sign = _mm256_srai_epi16(before, 15);
        const __m256i bit =
            _mm256_sub_epi16(_mm256_xor_si256(changes.at(index, is_own), sign), sign);
        _mm256_storeu_si256(at, _mm256_add_epi16(_mm256_add_epi16(before, before), bit));
        below[half] = advance(x[s].low[half], x[s].high[half], frequency.at(index, is_own),
                              _mm256_add_epi16(slot, bias.at(index, is_own)));
      }
      refill(x[s], below[0], below[1], next[s]);
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

// Two streams fill 16 registers.
bool decode_symbols(const AliasRegisters& table, const uint16_t* value, uint16_t escape,
                    const SymbolJob* jobs, uint32_t streams, uint32_t steps, size_t row) {
  const bool wide = table.stride == 32;
  bool enough = true;
  for (; streams >= 2; streams -= 2, jobs += 2) {
    enough &= wide ? decode_run<2, true>(table, value, escape, jobs, steps, row)
                   : decode_run<2, false>(table, value, escape, jobs, steps, row);
  }
  if (streams == 1) {
    enough &= wide ? decode_run<1, true>(table, value, escape, jobs, steps, row)
                   : decode_run<1, false>(table, value, escape, jobs, steps, row);
  }
  return enough;
}

bool refine_values(const AliasRegisters& table, const RefineJob* jobs, uint32_t streams,
                   uint32_t steps) {
  bool enough = true;
  for (; streams >= 2; streams -= 2, jobs += 2) enough &= refine_run<2>(table, jobs, steps);
  if (streams == 1) enough &= refine_run<1>(table, jobs, steps);
  return enough;
}

}  // namespace kvcast::kernels::avx2
