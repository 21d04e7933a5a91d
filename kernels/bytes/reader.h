// Reads the little-endian fields of a section in order. The first fault sticks: later reads answer
// zeros and nothing is allocated for them, so a caller may read several fields and check once
// before it uses a count.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/fault.h"

namespace kvcast::kernels {

static_assert(std::endian::native == std::endian::little);

// Points into `bytes`, which must outlive it. One thread.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <typename T>
  requires std::is_arithmetic_v<T> T read() {
    T value{};
    const std::span<const std::byte> from = take(sizeof(T));
    if (!from.empty()) std::memcpy(&value, from.data(), sizeof(T));
    return value;
  }

  // `count` may come from outside: it is checked against the bytes left before allocation.
  template <typename T>
  requires std::is_arithmetic_v<T> std::vector<T> read_array(uint64_t count) {
    if (count > remaining() / sizeof(T)) {
      fail(std::to_string(count) + " elements of " + std::to_string(sizeof(T)) + " bytes, but " +
           std::to_string(remaining()) + " bytes are left");
      return {};
    }
    std::vector<T> values(count);
    const std::span<const std::byte> from = take(count * sizeof(T));
    if (!from.empty()) std::memcpy(values.data(), from.data(), from.size());
    return values;
  }

  std::span<const std::byte> take(uint64_t count);    // empty once failed
  void expect_zeros(uint64_t count);                  // fails where one is not zero
  void expect_padding(size_t multiple);               // zeros up to a multiple of `multiple`
  void require(bool condition, const char* message);  // fails, here, unless the condition holds
  void fail(std::string what);                        // the first one is kept

  bool ok() const { return !fault_; }
  const Fault& fault() const { return *fault_; }
  size_t position() const { return position_; }
  size_t remaining() const { return fault_ ? 0 : bytes_.size() - position_; }
  Check finish();  // the first fault; bytes left over are one

 private:
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
  std::optional<Fault> fault_;
};

}  // namespace kvcast::kernels
