#include "kernels/exact/fields.h"

#include <cstring>

namespace kvcast::kernels {
namespace {

template <typename Word, int kMantissaBits, int kExponentBits>
void split(const std::byte* row, std::span<uint8_t> exponents, std::span<uint32_t> rest) {
  for (size_t i = 0; i < exponents.size(); ++i) {
    Word word;
    std::memcpy(&word, row + i * sizeof(Word), sizeof(Word));
    const uint32_t sign = static_cast<uint32_t>(word) >> (kMantissaBits + kExponentBits);
    exponents[i] = static_cast<uint8_t>(word >> kMantissaBits & ((1u << kExponentBits) - 1));
    rest[i] = (word & ((1u << kMantissaBits) - 1)) | sign << kMantissaBits;
  }
}

template <typename Word, int kMantissaBits, int kExponentBits>
void join(std::span<const uint8_t> exponents, std::span<const uint32_t> rest, std::byte* row) {
  for (size_t i = 0; i < exponents.size(); ++i) {
    const uint32_t sign = rest[i] >> kMantissaBits;
    const uint32_t mantissa = rest[i] & ((1u << kMantissaBits) - 1);
    const Word word =
        static_cast<Word>(sign << (kMantissaBits + kExponentBits) |
                          static_cast<uint32_t>(exponents[i]) << kMantissaBits | mantissa);
    std::memcpy(row + i * sizeof(Word), &word, sizeof(Word));
  }
}

}  // namespace

void split_row(DType dtype, const std::byte* row, std::span<uint8_t> exponents,
               std::span<uint32_t> rest) {
  switch (dtype) {
    case DType::kF16:
      return split<uint16_t, 10, 5>(row, exponents, rest);
    case DType::kBf16:
      return split<uint16_t, 7, 8>(row, exponents, rest);
    case DType::kF32:
      return split<uint32_t, 23, 8>(row, exponents, rest);
    case DType::kF8E4M3:
      return split<uint8_t, 3, 4>(row, exponents, rest);
    case DType::kF8E5M2:
      return split<uint8_t, 2, 5>(row, exponents, rest);
  }
}

void join_row(DType dtype, std::span<const uint8_t> exponents, std::span<const uint32_t> rest,
              std::byte* row) {
  switch (dtype) {
    case DType::kF16:
      return join<uint16_t, 10, 5>(exponents, rest, row);
    case DType::kBf16:
      return join<uint16_t, 7, 8>(exponents, rest, row);
    case DType::kF32:
      return join<uint32_t, 23, 8>(exponents, rest, row);
    case DType::kF8E4M3:
      return join<uint8_t, 3, 4>(exponents, rest, row);
    case DType::kF8E5M2:
      return join<uint8_t, 2, 5>(exponents, rest, row);
  }
}

}  // namespace kvcast::kernels
