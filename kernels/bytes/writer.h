// Appends the little-endian fields of a section.
#pragma once

#include <bit>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace kvcast::kernels {

static_assert(std::endian::native == std::endian::little);

class ByteWriter {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void put(T value) { append(std::as_bytes(std::span(&value, 1))); }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void put_array(const std::vector<T>& values) { append(std::as_bytes(std::span(values))); }
  void append(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_zeros(size_t count) { bytes_.insert(bytes_.end(), count, std::byte{0}); }
  void pad(size_t multiple) { put_zeros((multiple - bytes_.size() % multiple) % multiple); }
  std::vector<std::byte> finish() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace kvcast::kernels
