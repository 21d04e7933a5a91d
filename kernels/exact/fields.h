// Elements split into exponent and rest, as kernels/exact_format.md does. Stateless.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/dtype.h"

namespace kvcast::kernels {

// The rest (sign above mantissa) is stored as whole byte planes and, above them, a few high bits.
struct RestLayout {
  uint32_t bits = 0;
  uint32_t byte_planes() const { return bits / 8; }
  uint32_t high_bits() const { return bits % 8; }
};
constexpr RestLayout rest_layout(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return {11};
    case DType::kBf16:
      return {8};
    case DType::kF32:
      return {24};
    case DType::kF8E4M3:
      return {4};
    case DType::kF8E5M2:
      return {3};
  }
  return {};
}

constexpr uint32_t exponent_count(DType dtype) {
  if (dtype == DType::kF8E4M3) return 16;
  return dtype == DType::kF16 || dtype == DType::kF8E5M2 ? 32 : 256;
}

// `row` holds exponents.size() elements of `dtype`, any alignment; rest.size() == exponents.size().
void split_row(DType dtype, const std::byte* row, std::span<uint8_t> exponents,
               std::span<uint32_t> rest);
void join_row(DType dtype, std::span<const uint8_t> exponents, std::span<const uint32_t> rest,
              std::byte* row);

}  // namespace kvcast::kernels
