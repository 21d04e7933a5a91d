// Lays out plain values one after the other for device memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

namespace kvcast::kernels {

class ImageWriter {
 public:
  static constexpr size_t kAlignment = 16;

  // Answers the offset, a multiple of kAlignment. What lies between is zero.
  template <typename T>
  uint64_t put(std::span<const T> values) {
    const uint64_t offset = reserve(values.size_bytes());
    set(offset, values);
    return offset;
  }
  template <typename T>
  uint64_t put(const std::vector<T>& values) {
    return put(std::span<const T>(values));
  }
  uint64_t reserve(size_t bytes) {
    const size_t offset = (bytes_.size() + kAlignment - 1) / kAlignment * kAlignment;
    bytes_.resize(offset + bytes);
    return offset;
  }
  template <typename T>
  void set(uint64_t offset, std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (!values.empty()) std::memcpy(bytes_.data() + offset, values.data(), values.size_bytes());
  }
  std::vector<std::byte> finish() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace kvcast::kernels
