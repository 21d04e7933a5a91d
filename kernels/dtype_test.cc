#include "kernels/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace kvcast::kernels {
namespace {

// The value of a 16-bit float with the given field widths, from the definition.
double reference_value(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

// Nearest of the finite values and infinity, ties to even, by comparing with the neighbours.
uint16_t reference_rounding(float value, int exponent_bits, int mantissa_bits) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  const auto infinity = static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  uint16_t low = 0, high = infinity;  // at `infinity` the formula gives the next power of two
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (reference_value(middle, exponent_bits, mantissa_bits) <= magnitude ? low : high) = middle;
  }
  const double below = magnitude - reference_value(low, exponent_bits, mantissa_bits);
  const double above = reference_value(high, exponent_bits, mantissa_bits) - magnitude;
  const bool up = above < below || (above == below && low % 2 == 1);
  return static_cast<uint16_t>(sign | (up || above < 0 ? high : low));
}

TEST(DType, F16RoundTripsEveryPattern) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float value = f16_to_f32(bits);
    ASSERT_EQ(f32_to_f16(value), bits);
    if ((bits & 0x7C00) == 0x7C00) continue;
    ASSERT_EQ(value, reference_value(bits, 5, 10));
  }
  EXPECT_TRUE(std::isinf(f16_to_f32(0x7C00)));
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7C01)));
}

TEST(DType, Bf16RoundTripsEveryPattern) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float value = bf16_to_f32(bits);
    ASSERT_EQ(f32_to_bf16(value), bits);
    if ((bits & 0x7F80) == 0x7F80) continue;
    ASSERT_EQ(value, reference_value(bits, 8, 7));
  }
}

TEST(DType, RoundsToNearestEven) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const auto float_bits = static_cast<uint32_t>(random());
    const float value = __builtin_bit_cast(float, float_bits);
    if (std::isnan(value)) continue;
    ASSERT_EQ(f32_to_bf16(value),
              std::isinf(value) ? float_bits >> 16 : reference_rounding(value, 8, 7));
    // Exponents around those of fp16, subnormals and overflow included.
    const uint32_t narrow = (float_bits & 0x807FFFFF) | (100 + static_cast<uint32_t>(random() % 48))
                                                            << 23;
    const float small = __builtin_bit_cast(float, narrow);
    ASSERT_EQ(f32_to_f16(small), reference_rounding(small, 5, 10)) << small;
  }
}

TEST(DType, RoundsEveryMidpointToEven) {
  for (uint16_t bits = 0; bits < 0x7C00; ++bits) {
    const double middle =
        (reference_value(bits, 5, 10) + reference_value(static_cast<uint16_t>(bits + 1), 5, 10)) /
        2;
    const auto even = static_cast<uint16_t>(bits + bits % 2);
    ASSERT_EQ(f32_to_f16(static_cast<float>(middle)), even);
    ASSERT_EQ(f32_to_f16(std::nextafterf(static_cast<float>(middle), 0)), bits);
    ASSERT_EQ(f32_to_f16(std::nextafterf(static_cast<float>(middle), 1e9f)), bits + 1);
  }
  EXPECT_EQ(f32_to_bf16(__builtin_bit_cast(float, 0x3F808000u)), 0x3F80);
  EXPECT_EQ(f32_to_bf16(__builtin_bit_cast(float, 0x3F818000u)), 0x3F82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
}

TEST(DType, NaNsStayNaNs) {
  const float payload_lost = __builtin_bit_cast(float, 0x7F800001u);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(payload_lost))));
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(payload_lost))));
}

// Value of an fp8 magnitude, specials read as if they were finite.
double fp8_value(int magnitude, int mantissa_bits, int bias) {
  const int exponent = magnitude >> mantissa_bits;
  const int mantissa = magnitude & ((1 << mantissa_bits) - 1);
  if (exponent == 0) return std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

struct Fp8 {
  int mantissa_bits, bias, largest;
  float (*widen)(uint8_t);
  uint8_t (*narrow)(float);
};
constexpr Fp8 kFp8[] = {{3, 7, 0x7E, f8e4m3_to_f32, f32_to_f8e4m3},
                        {2, 15, 0x7B, f8e5m2_to_f32, f32_to_f8e5m2}};

TEST(DType, Fp8HasTheValuesOfItsDefinition) {
  for (const Fp8& type : kFp8) {
    for (int bits = 0; bits <= type.largest; ++bits) {
      const double value = fp8_value(bits, type.mantissa_bits, type.bias);
      ASSERT_EQ(type.widen(static_cast<uint8_t>(bits)), value);
      ASSERT_EQ(type.widen(static_cast<uint8_t>(bits | 0x80)), -value);
      ASSERT_EQ(type.narrow(static_cast<float>(value)), bits);
      ASSERT_EQ(type.narrow(static_cast<float>(-value)), bits | 0x80);
    }
  }
  EXPECT_EQ(f8e4m3_to_f32(0x7E), 448.0f);
  EXPECT_EQ(f8e5m2_to_f32(0x7B), 57344.0f);
  EXPECT_TRUE(std::signbit(f8e4m3_to_f32(0x80)));
  EXPECT_EQ(f32_to_f8e5m2(-0.0f), 0x80);
}

TEST(DType, Fp8RoundsEveryMidpointToEven) {
  for (const Fp8& type : kFp8) {
    for (int bits = 0; bits < type.largest; ++bits) {
      const double middle = (fp8_value(bits, type.mantissa_bits, type.bias) +
                             fp8_value(bits + 1, type.mantissa_bits, type.bias)) /
                            2;
      const auto value = static_cast<float>(middle);
      ASSERT_EQ(type.narrow(value), bits + bits % 2);
      ASSERT_EQ(type.narrow(std::nextafterf(value, 0)), bits);
      ASSERT_EQ(type.narrow(std::nextafterf(value, 1e9f)), bits + 1);
    }
  }
}

TEST(DType, Fp8SaturatesAndKeepsNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Fp8& type : kFp8) {
    const float largest = type.widen(static_cast<uint8_t>(type.largest));
    for (const float value : {largest * 1.01f, largest * 1.07f, largest * 2, 3e38f, infinity}) {
      EXPECT_EQ(type.narrow(value), type.largest) << value;
      EXPECT_EQ(type.narrow(-value), type.largest | 0x80) << value;
    }
    for (const uint32_t nan : {0x7F800001u, 0x7FC00000u, 0xFFFFFFFFu}) {
      EXPECT_TRUE(std::isnan(type.widen(type.narrow(__builtin_bit_cast(float, nan)))));
    }
  }
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0x7F)));
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0xFF)));
  for (const uint8_t nan : {uint8_t{0x7D}, uint8_t{0x7E}, uint8_t{0xFF}}) {
    EXPECT_TRUE(std::isnan(f8e5m2_to_f32(nan)));
  }
  EXPECT_EQ(f8e5m2_to_f32(0x7C), infinity);
  EXPECT_EQ(f8e5m2_to_f32(0xFC), -infinity);
}

TEST(DType, NamesAreThoseOfSafetensors) {
  for (const DType dtype : kDTypes) EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  EXPECT_EQ(dtype_from_name("F8_E4M3"), DType::kF8E4M3);
  EXPECT_EQ(dtype_from_name("F8_E4M3FNUZ"), std::nullopt);
  EXPECT_EQ(dtype_from_name(""), std::nullopt);
}

TEST(DType, RowsConvertAtAnyAlignment) {
  std::mt19937 random(2);
  for (const DType dtype : kDTypes) {
    std::vector<std::byte> bytes(1 + 37 * dtype_bytes(dtype));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0x3F);
    std::vector<float> values(37);
    load_f32(dtype, bytes.data() + 1, values);
    std::vector<std::byte> back(bytes.size(), bytes[0]);
    store_f32(dtype, values, back.data() + 1);
    EXPECT_EQ(back, bytes) << dtype_name(dtype);
    load_f32(dtype, bytes.data(), {});
    store_f32(dtype, {}, back.data());
  }
}

}  // namespace
}  // namespace kvcast::kernels
