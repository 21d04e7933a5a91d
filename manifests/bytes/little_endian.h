// Unsigned little-endian integers at given places of a byte buffer, on any host.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

namespace kvcast::manifests {

// bytes[at, at + sizeof(T)) must exist.
template <std::unsigned_integral T>
T load_le(std::span<const std::byte> bytes, size_t at) {
  T value = 0;
  for (size_t i = sizeof(T); i-- > 0;) {
    value = static_cast<T>(static_cast<T>(value << (sizeof(T) > 1 ? 8 : 0)) |
                           std::to_integer<T>(bytes[at + i]));
  }
  return value;
}

template <std::unsigned_integral T>
void store_le(std::span<std::byte> bytes, size_t at, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
  }
}

}  // namespace kvcast::manifests
