#include "kernels/dtype.h"

#include <cstring>

namespace kvcast::kernels {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return "F16";
    case DType::kBf16:
      return "BF16";
    case DType::kF32:
      return "F32";
  }
  return "unknown";
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

void load_f32(DType dtype, const std::byte* from, std::span<float> to) {
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
