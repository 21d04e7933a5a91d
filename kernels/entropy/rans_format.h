// Constants of the entropy coder. Format: kernels/plane_format.md, section 4.
#pragma once

#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kProbabilityBits = 12;
inline constexpr uint32_t kSlots = 1u << kProbabilityBits;
inline constexpr uint32_t kWordBits = 16;
inline constexpr uint32_t kWordBytes = kWordBits / 8;
inline constexpr uint32_t kStateBytes = 4;
inline constexpr uint32_t kStateLow =
    1u << 16;  // states live in [kStateLow, 2^32); the first is kStateLow

// Buckets of the alias method: few enough for the tables of an implementation to live in vector
// registers.
constexpr uint32_t alias_bucket_count(uint32_t alphabet) {
  return alphabet <= 4 ? 4 : alphabet <= 16 ? 16 : 32;
}

}  // namespace kvcast::kernels
