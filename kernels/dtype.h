// Element types of KV caches, and conversion to and from fp32 (round to nearest even). The two fp8
// types are those of "FP8 Formats for Deep Learning" (Micikevicius et al. 2022): E4M3 (bias 7, no
// infinity, NaN 0x7F and 0xFF, largest 448) and E5M2 (bias 15, IEEE-like, largest 57,344).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kvcast::kernels {

// Values are those of the object header (manifests/object_format.md).
enum class DType : uint8_t { kF16 = 1, kBf16 = 2, kF32 = 3, kF8E4M3 = 4, kF8E5M2 = 5 };
inline constexpr DType kDTypes[] = {DType::kF16, DType::kBf16, DType::kF32, DType::kF8E4M3,
                                    DType::kF8E5M2};

constexpr bool is_fp8(DType dtype) {
  return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2;
}
constexpr size_t dtype_bytes(DType dtype) {
  return dtype == DType::kF32 ? 4 : is_fp8(dtype) ? 1 : 2;
}
const char* dtype_name(DType dtype);  // safetensors': "F16", "BF16", "F32", "F8_E4M3", "F8_E5M2"
std::optional<DType> dtype_from_name(std::string_view name);

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);  // overflow becomes infinity
inline float bf16_to_f32(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}
uint16_t f32_to_bf16(float value);

// To fp8 saturates: what is beyond the largest finite value, infinity included, becomes that value,
// as `cvt.satfinite` does on a GPU and as engines store a quantised cache. NaN stays NaN.
float f8e4m3_to_f32(uint8_t bits);
float f8e5m2_to_f32(uint8_t bits);
uint8_t f32_to_f8e4m3(float value);
uint8_t f32_to_f8e5m2(float value);

// `from` holds to.size() elements of `dtype`, any alignment.
void load_f32(DType dtype, const std::byte* from, std::span<float> to);
void store_f32(DType dtype, std::span<const float> from, std::byte* to);

}  // namespace kvcast::kernels
