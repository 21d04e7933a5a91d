// Element types of KV caches, and conversion to and from fp32 (round to nearest even).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvcast::kernels {

// Values are those of the object header (manifests/object_format.md).
enum class DType : uint8_t {
  kF16 = 1,
  kBf16 = 2,
  kF32 = 3
};  // 4 and 5 are reserved for fp8 e4m3 and e5m2

constexpr size_t dtype_bytes(DType dtype) {
  return dtype == DType::kF32 ? 4 : 2;
}
const char* dtype_name(DType dtype);  // "F16", "BF16", "F32": safetensors' names

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);  // overflow becomes infinity
inline float bf16_to_f32(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}
uint16_t f32_to_bf16(float value);

// `from` holds to.size() elements of `dtype`, any alignment.
void load_f32(DType dtype, const std::byte* from, std::span<float> to);
void store_f32(DType dtype, std::span<const float> from, std::byte* to);

}  // namespace kvcast::kernels
