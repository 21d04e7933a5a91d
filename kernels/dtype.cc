#include "kernels/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace kvcast::kernels {
namespace {

// The fields of an fp8 type, and what conversion to it needs.
struct F8Layout {
  int mantissa_bits, bias;
  uint32_t largest;          // largest finite magnitude, as fp32 bits
  uint32_t smallest_normal;  // as fp32 bits
  float subnormal_shift;     // its last place is that of a subnormal
  uint32_t first_special;    // magnitudes from here on are not finite
  bool has_infinity;
};
constexpr F8Layout kE4M3{3, 7, 0x43E00000, 0x3C800000, 0x1p14f, 0x7F, false};
constexpr F8Layout kE5M2{2, 15, 0x47600000, 0x38800000, 0x1p7f, 0x7C, true};

// Branchless, so that rows are narrowed with vector instructions.
inline uint8_t narrow(const F8Layout& layout, float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = (bits >> 24) & 0x80;
  const uint32_t any = bits & 0x7FFFFFFF;
  const uint32_t magnitude = std::min(any, layout.largest);
  const float shifted = __builtin_bit_cast(float, magnitude) + layout.subnormal_shift;
  const uint32_t subnormal =
      __builtin_bit_cast(uint32_t, shifted) - __builtin_bit_cast(uint32_t, layout.subnormal_shift);
  const int cut = 23 - layout.mantissa_bits;
  const uint32_t rebias = static_cast<uint32_t>(127 - layout.bias) << 23;
  const uint32_t half = (1u << (cut - 1)) - 1;
  const uint32_t normal = (magnitude + half + ((magnitude >> cut) & 1) - rebias) >> cut;
  const uint32_t finite = magnitude < layout.smallest_normal ? subnormal : normal;
  return static_cast<uint8_t>(sign | (any > 0x7F800000 ? 0x7F : finite));
}

constexpr float widen(const F8Layout& layout, uint32_t bits) {
  const uint32_t sign = (bits & 0x80) << 24;
  const uint32_t magnitude = bits & 0x7F;
  if (magnitude >= layout.first_special) {
    const bool infinite = layout.has_infinity && magnitude == layout.first_special;
    return __builtin_bit_cast(float, sign | (infinite ? 0x7F800000 : 0x7FC00000));
  }
  const uint32_t mantissa = magnitude & ((1u << layout.mantissa_bits) - 1);
  const auto exponent = static_cast<int>(magnitude >> layout.mantissa_bits);
  const uint32_t whole = exponent == 0 ? mantissa : mantissa | 1u << layout.mantissa_bits;
  const int power = std::max(exponent, 1) - layout.bias - layout.mantissa_bits;
  const float unit = __builtin_bit_cast(float, static_cast<uint32_t>(127 + power) << 23);
  const float value = static_cast<float>(whole) * unit;
  return sign ? -value : value;
}

using WideningTable = std::array<float, 256>;
constexpr WideningTable widening_table(const F8Layout& layout) {
  WideningTable table{};
  for (uint32_t bits = 0; bits < table.size(); ++bits) table[bits] = widen(layout, bits);
  return table;
}
constexpr WideningTable kFromE4M3 = widening_table(kE4M3);
constexpr WideningTable kFromE5M2 = widening_table(kE5M2);

void load_f8(const WideningTable& table, const std::byte* from, std::span<float> to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] = table[static_cast<uint8_t>(from[i])];
}

template <const F8Layout& kLayout>
void store_f8(std::span<const float> from, std::byte* to) {
  for (size_t i = 0; i < from.size(); ++i) to[i] = static_cast<std::byte>(narrow(kLayout, from[i]));
}

}  // namespace

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return "F16";
    case DType::kBf16:
      return "BF16";
    case DType::kF32:
      return "F32";
    case DType::kF8E4M3:
      return "F8_E4M3";
    case DType::kF8E5M2:
      return "F8_E5M2";
  }
  return "unknown";
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DType dtype : kDTypes) {
    if (name == dtype_name(dtype)) return dtype;
  }
  return std::nullopt;
}

float f16_to_f32(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7FFF) << 13;
  // The exponent is rebased by a multiplication, which also normalises subnormals.
  const float finite = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  const uint32_t finite_bits = __builtin_bit_cast(uint32_t, finite);
  const uint32_t special_bits = magnitude | 0x7F800000;
  return __builtin_bit_cast(float, sign | (magnitude >= 0x0F800000 ? special_bits : finite_bits));
}

uint16_t f32_to_f16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  // Below 2^-14 the last place of 0.5 is that of a subnormal: the addition rounds.
  const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
  const uint32_t subnormal = __builtin_bit_cast(uint32_t, shifted) - 0x3F000000;
  const uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  const uint32_t payload = (magnitude >> 13) & 0x3FF;
  const uint32_t nan = 0x7C00 | payload | (payload == 0 ? 0x200 : 0);
  uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
  half = magnitude >= 0x477FF000 ? 0x7C00 : half;
  half = magnitude > 0x7F800000 ? nan : half;
  return static_cast<uint16_t>(sign | half);
}

uint16_t f32_to_bf16(float value) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  const uint32_t cut = bits >> 16;
  const uint32_t nan = cut | ((cut & 0x7F) == 0 ? 0x40 : 0);
  return static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
}

float f8e4m3_to_f32(uint8_t bits) {
  return kFromE4M3[bits];
}
float f8e5m2_to_f32(uint8_t bits) {
  return kFromE5M2[bits];
}
uint8_t f32_to_f8e4m3(float value) {
  return narrow(kE4M3, value);
}
uint8_t f32_to_f8e5m2(float value) {
  return narrow(kE5M2, value);
}

void load_f32(DType dtype, const std::byte* from, std::span<float> to) {
  if (is_fp8(dtype)) return load_f8(dtype == DType::kF8E4M3 ? kFromE4M3 : kFromE5M2, from, to);
  if (dtype == DType::kF32) {
    if (!to.empty()) std::memcpy(to.data(), from, to.size_bytes());
    return;
  }
  for (size_t i = 0; i < to.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + 2 * i, 2);
    to[i] = dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
  }
}

void store_f32(DType dtype, std::span<const float> from, std::byte* to) {
  if (dtype == DType::kF8E4M3) return store_f8<kE4M3>(from, to);
  if (dtype == DType::kF8E5M2) return store_f8<kE5M2>(from, to);
  if (dtype == DType::kF32) {
    if (!from.empty()) std::memcpy(to, from.data(), from.size_bytes());
    return;
  }
  for (size_t i = 0; i < from.size(); ++i) {
    const uint16_t bits = dtype == DType::kF16 ? f32_to_f16(from[i]) : f32_to_bf16(from[i]);
    std::memcpy(to + 2 * i, &bits, 2);
  }
}

}  // namespace kvcast::kernels
