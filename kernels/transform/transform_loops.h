// The loops behind TransformKernels, written once for the compiler to vectorise: every file that
// includes this is compiled for its own instruction set and gets functions of its own (internal
// linkage).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/transform/transform_kernels.h"

namespace kvcast::kernels {
namespace {

using SixteenFloats [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]] = float;

// kRows accumulators of 16 tokens stay in registers.
template <size_t kRows>
void multiply_rows(const float* matrix, size_t columns, const float* in, float* out) {
  SixteenFloats sum[kRows] = {};
  for (size_t c = 0; c < columns; ++c) {
    const SixteenFloats tokens = *reinterpret_cast<const SixteenFloats*>(in + c * 16);
    for (size_t r = 0; r < kRows; ++r) sum[r] += matrix[r * columns + c] * tokens;
  }
  for (size_t r = 0; r < kRows; ++r) *reinterpret_cast<SixteenFloats*>(out + r * 16) = sum[r];
}

template <size_t kRows>
void multiply_tile(const float* matrix, size_t rows, size_t columns, const float* in, float* out) {
  size_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    multiply_rows<kRows>(matrix + r * columns, columns, in, out + r * 16);
  for (; r < rows; ++r) multiply_rows<1>(matrix + r * columns, columns, in, out + r * 16);
}

void widen_bf16(const uint16_t* __restrict from, size_t count, float* __restrict to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = __builtin_bit_cast(float, static_cast<uint32_t>(from[i]) << 16);
}

void scale_and_shift(const float* __restrict scale, const float* __restrict mean, size_t count,
                     float* __restrict x) {
  for (size_t i = 0; i < count; ++i) x[i] = scale[i] * x[i] + mean[i];
}

void rotate(const float* __restrict cosine, const float* __restrict sine, float scaling,
            size_t pairs, float* __restrict first, float* __restrict second) {
  for (size_t i = 0; i < pairs; ++i) {
    const float x = first[i], y = second[i];
    first[i] = scaling * (x * cosine[i] - y * sine[i]);
    second[i] = scaling * (x * sine[i] + y * cosine[i]);
  }
}

// The conversions are those of kernels/dtype.cc.
void narrow_to_bf16(const float* __restrict from, size_t count, std::byte* __restrict to) {
  for (size_t i = 0; i < count; ++i) {
    const auto bits = __builtin_bit_cast(uint32_t, from[i]);
    const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    const uint32_t cut = bits >> 16;
    const uint32_t nan = cut | ((cut & 0x7F) == 0 ? 0x40u : 0u);
    const auto bf16 = static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? nan : rounded);
    __builtin_memcpy(to + 2 * i, &bf16, sizeof(bf16));
  }
}

void narrow_to_f16(const float* __restrict from, size_t count, std::byte* __restrict to) {
  for (size_t i = 0; i < count; ++i) {
    const auto bits = __builtin_bit_cast(uint32_t, from[i]);
    const uint32_t sign = (bits >> 16) & 0x8000;
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    const uint32_t subnormal = __builtin_bit_cast(uint32_t, shifted) - 0x3F000000;
    const uint32_t normal = (magnitude + 0xFFF + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
    const uint32_t payload = (magnitude >> 13) & 0x3FF;
    const uint32_t nan = 0x7C00 | payload | (payload == 0 ? 0x200u : 0u);
    uint32_t half = magnitude < 0x38800000 ? subnormal : normal;
    half = magnitude >= 0x477FF000 ? 0x7C00 : half;
    half = magnitude > 0x7F800000 ? nan : half;
    const auto f16 = static_cast<uint16_t>(sign | half);
    __builtin_memcpy(to + 2 * i, &f16, sizeof(f16));
  }
}

}  // namespace
}  // namespace kvcast::kernels
