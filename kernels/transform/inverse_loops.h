// Loops of InverseKernels in fp32, written once for the compiler to vectorise: see column_loops.h.
// The packed basis is fp32, in panels: [panel][rank][kPanel].
#pragma once

#include "kernels/transform/column_kernels.h"

namespace kvcast::kernels {
namespace {

float from_bf16(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

[[maybe_unused]] void pack(const uint16_t* basis, size_t rank, size_t width, float* packed) {
  for (size_t first = 0; first < width; first += kPanel) {
    const size_t count = width - first < kPanel ? width - first : kPanel;
    for (size_t r = 0; r < rank; ++r, packed += kPanel) {
      for (size_t c = 0; c < kPanel; ++c)
        packed[c] = c < count ? from_bf16(basis[r * width + first + c]) : 0.0f;
    }
  }
}

using Fuse = float (*)(float scale, float u, float mean);

template <Fuse fuse>
void scale_column(float scale, float mean, const float* u, float* out) {
  for (size_t t = 0; t < kColumnTokens; ++t) out[t] = fuse(scale, u[t], mean);
}

// kPanel channels of all tokens; kVectors vectors of tokens at a time stay in registers.
template <size_t kBytes, size_t kVectors>
void sum_panel(const float* panel, size_t rank, const float* in, float* sums) {
  using Vector [[gnu::vector_size(kBytes), gnu::aligned(4), gnu::may_alias]] = float;
  constexpr size_t kLanes = kBytes / sizeof(float);
  for (size_t t = 0; t < kColumnTokens; t += kVectors * kLanes) {
    Vector sum[kPanel][kVectors] = {};
    for (size_t r = 0; r < rank; ++r) {
      for (size_t v = 0; v < kVectors; ++v) {
        const Vector x = *reinterpret_cast<const Vector*>(in + r * kColumnTokens + t + v * kLanes);
        for (size_t c = 0; c < kPanel; ++c) sum[c][v] += panel[r * kPanel + c] * x;
      }
    }
    for (size_t c = 0; c < kPanel; ++c) {
      for (size_t v = 0; v < kVectors; ++v)
        *reinterpret_cast<Vector*>(sums + c * kColumnTokens + t + v * kLanes) = sum[c][v];
    }
  }
}

template <size_t kBytes, size_t kVectors, Fuse fuse>
void product(const float* packed, size_t rank, size_t width, const uint16_t* const* components,
             const float* scale, const float* mean, float* scratch, float* out) {
  for (size_t r = 0; r < rank; ++r) {
    for (size_t t = 0; t < kColumnTokens; ++t)
      scratch[r * kColumnTokens + t] = from_bf16(components[r][t]);
  }
  for (size_t first = 0; first < width; first += kPanel, packed += kPanel * rank) {
    float sums[kPanel * kColumnTokens];
    sum_panel<kBytes, kVectors>(packed, rank, scratch, sums);
    for (size_t c = 0; c < kPanel && first + c < width; ++c) {
      scale_column<fuse>(scale[first + c], mean[first + c], sums + c * kColumnTokens,
                         out + (first + c) * kColumnTokens);
    }
  }
}

template <Fuse fuse>
void scale_and_shift(const uint16_t* const* components, size_t width, const float* scale,
                     const float* mean, float* out) {
  for (size_t c = 0; c < width; ++c) {
    float u[kColumnTokens];
    for (size_t t = 0; t < kColumnTokens; ++t) u[t] = from_bf16(components[c][t]);
    scale_column<fuse>(scale[c], mean[c], u, out + c * kColumnTokens);
  }
}

}  // namespace
}  // namespace kvcast::kernels
