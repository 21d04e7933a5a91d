// Loops of ColumnKernels, written once for the compiler to vectorise: every file that includes this
// is compiled for its own instruction set and gets functions of its own (internal linkage).
#pragma once

#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {
namespace {

void widen_bf16(const uint16_t* __restrict from, size_t count, float* __restrict to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = __builtin_bit_cast(float, static_cast<uint32_t>(from[i]) << 16);
}

// Subnormals become normal, so they are made from an integer difference of two normal numbers.
void widen_f16(const uint16_t* __restrict from, size_t count, float* __restrict to) {
  for (size_t i = 0; i < count; ++i) {
    const uint32_t sign = (from[i] & 0x8000u) << 16;
    const uint32_t magnitude = (from[i] & 0x7FFFu) << 13;
    const float small = __builtin_bit_cast(float, magnitude + 0x38800000) - 0x1p-14f;
    const uint32_t normal = magnitude + 0x38000000;
    const uint32_t special = magnitude + 0x70000000;
    const uint32_t is_small = magnitude < 0x00800000 ? 0xFFFFFFFF : 0;
    const uint32_t is_special = magnitude >= 0x0F800000 ? 0xFFFFFFFF : 0;
    const uint32_t finite = (__builtin_bit_cast(uint32_t, small) & is_small) | (normal & ~is_small);
    const uint32_t bits = (special & is_special) | (finite & ~is_special);
    to[i] = __builtin_bit_cast(float, sign | bits);
  }
}

bool all_finite(const float* x, size_t count) {
  int32_t largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const int32_t magnitude = __builtin_bit_cast(int32_t, x[i]) & 0x7FFFFFFF;
    largest = largest < magnitude ? magnitude : largest;
  }
  return largest < 0x7F800000;
}

void rotate(const float* __restrict cosine, const float* __restrict sine, float scaling,
            float* __restrict first, float* __restrict second) {
  for (size_t t = 0; t < kColumnTokens; ++t) {
    const float x = first[t], y = second[t];
    first[t] = scaling * (x * cosine[t] - y * sine[t]);
    second[t] = scaling * (x * sine[t] + y * cosine[t]);
  }
}

void normalise(const float* mean, const float* scale, size_t channels, float* __restrict columns) {
  for (size_t c = 0; c < channels; ++c) {
    float* const x = columns + c * kColumnTokens;
    const float shift = mean[c], factor = 1.0f / scale[c];
    for (size_t t = 0; t < kColumnTokens; ++t) x[t] = (x[t] - shift) * factor;
  }
}

// kRows sums of kVectors vectors of tokens stay in registers.
template <size_t kBytes, size_t kRows, size_t kVectors>
void multiply_rows(const float* matrix, size_t columns, const float* in, float* out) {
  using Vector [[gnu::vector_size(kBytes), gnu::aligned(4), gnu::may_alias]] = float;
  constexpr size_t kLanes = kBytes / sizeof(float);
  Vector sum[kRows][kVectors] = {};
  for (size_t c = 0; c < columns; ++c) {
    for (size_t v = 0; v < kVectors; ++v) {
      const Vector x = *reinterpret_cast<const Vector*>(in + c * kColumnTokens + v * kLanes);
      for (size_t r = 0; r < kRows; ++r) sum[r][v] += matrix[r * columns + c] * x;
    }
  }
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t v = 0; v < kVectors; ++v)
      *reinterpret_cast<Vector*>(out + r * kColumnTokens + v * kLanes) = sum[r][v];
  }
}

template <size_t kBytes, size_t kRows, size_t kVectors>
void multiply(const float* matrix, size_t rows, size_t columns, const float* in, float* out) {
  constexpr size_t kTokens = kVectors * kBytes / sizeof(float);
  for (size_t t = 0; t < kColumnTokens; t += kTokens) {
    size_t r = 0;
    for (; r + kRows <= rows; r += kRows)
      multiply_rows<kBytes, kRows, kVectors>(matrix + r * columns, columns, in + t,
                                             out + r * kColumnTokens + t);
    for (; r < rows; ++r)
      multiply_rows<kBytes, 1, kVectors>(matrix + r * columns, columns, in + t,
                                         out + r * kColumnTokens + t);
  }
}

}  // namespace
}  // namespace kvcast::kernels
