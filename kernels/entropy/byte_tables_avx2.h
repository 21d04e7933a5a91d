// Tables of 16 or 32 entries, looked up by shuffles of bytes. Included only by files compiled for
// AVX2: no other may share its inline functions.
//
// Bytes of 32 lanes are in packed order: lanes 0-7, 16-23, 8-15, 24-31, as packs and unpacks of
// registers of lanes 0-15 and 16-31 have it.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace kvcast::kernels::avx2 {

// 16 bits of each lane: [0] lanes 0-15, [1] lanes 16-31.
struct Lanes {
  __m256i half[2];
};

[[gnu::always_inline]] inline Lanes unpack(__m256i low_bytes, __m256i high_bytes) {
  return {
      {_mm256_unpacklo_epi8(low_bytes, high_bytes), _mm256_unpackhi_epi8(low_bytes, high_bytes)}};
}

// Between packed order and the order of lanes.
[[gnu::always_inline]] inline __m256i reorder(__m256i bytes) {
  return _mm256_permute4x64_epi64(bytes, 0xD8);
}

// A bit of each lane, from the top bits of bytes in packed order.
[[gnu::always_inline]] inline uint32_t lane_mask(__m256i bytes) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(reorder(bytes)));
}

// Indices below 16 (narrow) or 32 (wide), ready for lookups in byte tables.
template <bool kWide>
struct Index {
  __m256i part[kWide ? 2 : 1];

  [[gnu::always_inline]] explicit Index(__m256i index) {
    if constexpr (kWide) {  // a byte with its top bit set selects nothing
      part[0] = _mm256_add_epi8(index, _mm256_set1_epi8(0x70));
      part[1] = _mm256_sub_epi8(index, _mm256_set1_epi8(16));
    } else {
      part[0] = index;
    }
  }
};

// 16 or 32 bytes; both halves of a register hold the same 16.
template <bool kWide>
struct ByteTable {
  __m256i part[kWide ? 2 : 1];

  [[gnu::always_inline]] __m256i at(const Index<kWide>& index) const {
    const __m256i entry = _mm256_shuffle_epi8(part[0], index.part[0]);
    if constexpr (!kWide) return entry;
    return _mm256_or_si256(entry, _mm256_shuffle_epi8(part[kWide], index.part[kWide]));
  }
};

inline __m256i load_bytes(const uint8_t* bytes) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// 16 or 32 entries of 16 bits, as tables of their bytes.
template <bool kWide>
struct WordTable {
  ByteTable<kWide> low, high;

  explicit WordTable(const uint16_t* entries, uint16_t flip = 0) {
    for (int i = 0; i < (kWide ? 2 : 1); ++i) {
      const __m256i words =
          _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(entries) + i),
                           _mm256_set1_epi16(static_cast<int16_t>(flip)));
      const __m256i low_bytes = _mm256_and_si256(words, _mm256_set1_epi16(0xFF));
      const __m256i high_bytes = _mm256_srli_epi16(words, 8);
      low.part[i] = _mm256_permute4x64_epi64(_mm256_packus_epi16(low_bytes, low_bytes), 0x88);
      high.part[i] = _mm256_permute4x64_epi64(_mm256_packus_epi16(high_bytes, high_bytes), 0x88);
    }
  }

  [[gnu::always_inline]] Lanes at(const Index<kWide>& index) const {
    return unpack(low.at(index), high.at(index));
  }
};

// Entries of both sides of a bucket; `is_alias` picks.
template <bool kWide>
struct SideTable {
  WordTable<kWide> own, alias;

  SideTable(const uint16_t* entries, uint32_t stride, uint16_t flip)
      : own(entries, flip), alias(entries + stride, flip) {}

  [[gnu::always_inline]] Lanes at(const Index<kWide>& index, __m256i is_alias) const {
    return unpack(_mm256_blendv_epi8(own.low.at(index), alias.low.at(index), is_alias),
                  _mm256_blendv_epi8(own.high.at(index), alias.high.at(index), is_alias));
  }
};

}  // namespace kvcast::kernels::avx2
