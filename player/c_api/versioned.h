// Structs that cross the C boundary and start with their size (player/kvcast.h).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace kvcast::player {

inline constexpr size_t kMaxStructBytes = 4096;  // a larger size was never set

// Copies the fields the caller knows over the defaults in `to`. False: no struct, or its size was
// not set.
template <typename T>
bool read_versioned(const T* from, T& to) {
  static_assert(std::is_trivially_copyable_v<T> && offsetof(T, size) == 0);
  if (from == nullptr || from->size < sizeof(size_t) || from->size > kMaxStructBytes) return false;
  std::memcpy(&to, from, std::min(from->size, sizeof(T)));
  to.size = sizeof(T);
  return true;
}

}  // namespace kvcast::player
