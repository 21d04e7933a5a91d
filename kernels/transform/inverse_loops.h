// Loops of InverseKernels in fp32, written once for the compiler to vectorise: see column_loops.h.
// Each panel of a packed basis is [component][channel], fp32.
#pragma once

#include "kernels/transform/inverse_kernels.h"

namespace kvcast::kernels {
namespace {

float from_bf16(uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

[[maybe_unused]] void pack(const uint16_t* basis, size_t rank, size_t width, CacheLine* packed) {
  auto* to = reinterpret_cast<float*>(packed);
  for (size_t c = 0; c < panels(width) * kPanel; c += kPanel) {
    for (size_t r = 0; r < panels(rank) * kPanel; ++r, to += kPanel) {
      for (size_t i = 0; i < kPanel; ++i)
        to[i] = r < rank && c + i < width ? from_bf16(basis[r * width + c + i]) : 0.0f;
    }
  }
}

[[maybe_unused]] void nothing() {}

// kTokens sums of kVectors vectors of channels stay in registers. They go on from those of the
// panel of components before, but for the first.
template <size_t kBytes, size_t kTokens, size_t kVectors>
void add_products(bool first, const float* components, const float* basis, float* sums,
                  size_t stride) {
  using Vector [[gnu::vector_size(kBytes), gnu::aligned(4), gnu::may_alias]] = float;
  constexpr size_t kLanes = kBytes / sizeof(float), kSums = kTokens * kVectors;
  Vector sum[kSums];
#pragma GCC unroll 16
  for (size_t i = 0; i < kSums; ++i) {
    const float* const from = sums + i / kVectors * stride + i % kVectors * kLanes;
    sum[i] = first ? Vector{} : *reinterpret_cast<const Vector*>(from);
  }
  for (size_t r = 0; r < kPanel; ++r) {
    Vector row[kVectors];
#pragma GCC unroll 16
    for (size_t v = 0; v < kVectors; ++v)
      row[v] = *reinterpret_cast<const Vector*>(basis + r * kPanel + v * kLanes);
#pragma GCC unroll 16
    for (size_t i = 0; i < kSums; ++i)
      sum[i] += components[i / kVectors * kPanel + r] * row[i % kVectors];
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kSums; ++i)
    *reinterpret_cast<Vector*>(sums + i / kVectors * stride + i % kVectors * kLanes) = sum[i];
}

template <size_t kBytes, size_t kTokens, size_t kVectors>
void product(const CacheLine* packed, size_t rank, size_t channel_panels,
             const ComponentRows& components, float* sums, size_t stride) {
  constexpr size_t kChannels = kVectors * kBytes / sizeof(float);
  static_assert(kTileTokens % kTokens == 0 && kPanel % kChannels == 0);
  const auto* const bases = reinterpret_cast<const float*>(packed);
  for (size_t p = 0; p < panels(rank); ++p) {
    float wide[kTileTokens * kPanel];
    for (size_t t = 0; t < kTileTokens; ++t) {
      const uint16_t* const row = components.of(p, t);
      for (size_t i = 0; i < kPanel; ++i) wide[t * kPanel + i] = from_bf16(row[i]);
    }
    for (size_t c = 0; c < channel_panels; ++c) {
      const float* const basis = bases + (c * panels(rank) + p) * kPanel * kPanel;
      for (size_t t = 0; t < kTileTokens; t += kTokens) {
        for (size_t i = 0; i < kPanel; i += kChannels)
          add_products<kBytes, kTokens, kVectors>(p == 0, wide + t * kPanel, basis + i,
                                                  sums + t * stride + c * kPanel + i, stride);
      }
    }
  }
}

[[maybe_unused]] void widen(const uint16_t* __restrict components, size_t components_stride,
                            size_t tokens, size_t channels, float* __restrict sums, size_t stride) {
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < channels; ++c)
      sums[t * stride + c] = from_bf16(components[t * components_stride + c]);
  }
}

}  // namespace
}  // namespace kvcast::kernels
