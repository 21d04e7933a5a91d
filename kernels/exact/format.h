// Constants of exact sections. Format: kernels/exact_format.md.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/profile.h"

namespace kvcast::kernels {

inline constexpr uint32_t kMaxExactTokens = 1u << 20;
inline constexpr uint64_t kMaxExactElements = uint64_t{1} << 31;
inline constexpr uint32_t kExactStreamEntryBytes = 12;  // u32 bytes, u32 groups, u32 escapes

constexpr uint32_t channel_group_count(uint32_t channels) {
  return (channels + kLanes - 1) / kLanes;
}
constexpr uint32_t lanes_of_group(uint32_t group, uint32_t channels) {
  return std::min(kLanes, channels - group * kLanes);
}

}  // namespace kvcast::kernels
