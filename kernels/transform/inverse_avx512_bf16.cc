#include <immintrin.h>

#include <cstring>

#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::avx512_bf16 {
namespace {

constexpr size_t kTokens = 8;  // whose sums, of a panel of channels, stay in registers
constexpr size_t kPairs = kPanel / 2;

[[gnu::always_inline]] inline __m512bh load_pairs(const float* from) {
  return reinterpret_cast<__m512bh>(_mm512_load_ps(from));
}

// basis: the panels of one panel of channels.
void sum_tokens(const float* basis, size_t component_panels, const ComponentRows& components,
                size_t token, float* sums, size_t stride) {
  __m512 sum[kTokens][2] = {};
  for (size_t p = 0; p < component_panels; ++p) {
    const uint16_t* const rows = components.of(p, token);
    for (size_t pair = 0; pair < kPairs; ++pair, basis += kPanel) {
      const __m512bh low = load_pairs(basis), high = load_pairs(basis + kPanel / 2);
#pragma GCC unroll 8
      for (size_t t = 0; t < kTokens; ++t) {
        int both;
        std::memcpy(&both, rows + t * components.token_stride + 2 * pair, sizeof(both));
        const auto coefficients = reinterpret_cast<__m512bh>(_mm512_set1_epi32(both));
        sum[t][0] = _mm512_dpbf16_ps(sum[t][0], coefficients, low);
        sum[t][1] = _mm512_dpbf16_ps(sum[t][1], coefficients, high);
      }
    }
  }
#pragma GCC unroll 8
  for (size_t t = 0; t < kTokens; ++t) {
    _mm512_storeu_ps(sums + t * stride, sum[t][0]);
    _mm512_storeu_ps(sums + t * stride + kPanel / 2, sum[t][1]);
  }
}

void product(const CacheLine* packed, size_t rank, size_t channel_panels,
             const ComponentRows& components, float* sums, size_t stride) {
  const auto* basis = reinterpret_cast<const float*>(packed);
  for (size_t c = 0; c < channel_panels; ++c, basis += panels(rank) * kPairs * kPanel) {
    for (size_t t = 0; t < kTileTokens; t += kTokens)
      sum_tokens(basis, panels(rank), components, t, sums + t * stride + c * kPanel, stride);
  }
}

}  // namespace

void pack(const uint16_t* basis, size_t rank, size_t width, CacheLine* packed) {
  auto* to = reinterpret_cast<std::byte*>(packed);
  for (size_t c = 0; c < panels(width) * kPanel; c += kPanel) {
    for (size_t r = 0; r < panels(rank) * kPanel; r += 2) {
      for (size_t i = c; i < c + kPanel; ++i, to += 2 * sizeof(uint16_t)) {
        const uint16_t pair[2] = {
            r < rank && i < width ? basis[r * width + i] : uint16_t{0},
            r + 1 < rank && i < width ? basis[(r + 1) * width + i] : uint16_t{0}};
        std::memcpy(to, pair, sizeof(pair));
      }
    }
  }
}

constexpr InverseKernels kInverseKernels{sizeof(uint16_t), pack, nothing, nothing, product, widen};

}  // namespace kvcast::kernels::avx512_bf16
