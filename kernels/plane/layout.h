// Sizes of the fields of base and refinement sections: kernels/plane_format.md, sections 3, 5
// and 7.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kMaxChunkTokens = 1u << 20;
inline constexpr uint64_t kMaxSectionSymbols = uint64_t{1} << 31;

inline constexpr size_t kBaseStreamEntryBytes = 12;
inline constexpr size_t kPassStreamEntryBytes = 8;

inline constexpr uint8_t kClassMask = 0x3F;
inline constexpr uint8_t kReservedFlag = 0x40;
inline constexpr uint8_t kEmptyFlag = 0x80;

constexpr size_t padded(size_t bytes) {
  return (bytes + 3) / 4 * 4;
}

}  // namespace kvcast::kernels
