// The loops from bf16 coefficients to the elements of KV, a tile of up to kTileTokens tokens at a
// time, over rows: [token][channel]. Plain structs and functions only, as in
// kernels/entropy/rans_kernels.h. Everything follows the bit-exact coefficients: results may differ
// in the last place, and subnormals may count as zero (kernels/plane_format.md, section 2).
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvcast::kernels {

inline constexpr size_t kTileTokens = 32;
inline constexpr size_t kPanel = 32;  // components, or channels, that products take together
constexpr size_t panels(size_t count) {
  return (count + kPanel - 1) / kPanel;
}

struct alignas(64) CacheLine {
  std::byte bytes[64];
};

// bf16; where there are fewer components, the others are zero.
struct alignas(64) ComponentPanel {
  uint16_t of_token[kTileTokens][kPanel];
};

// All tokens of a tile, whole panels: in panels of their own, or where they were decoded to.
struct ComponentRows {
  const uint16_t* first;
  size_t token_stride, panel_stride;  // elements

  const uint16_t* of(size_t panel, size_t token) const {
    return first + panel * panel_stride + token * token_stride;
  }
};
inline constexpr size_t kPanelElements = kTileTokens * kPanel;

// u = coefficients * basis, in fp32 in any order.
struct InverseKernels {
  size_t
      element_bytes;  // of a packed basis: [panel of channels][panel of components], zeros beyond
  void (*pack)(const uint16_t* basis, size_t rank, size_t width, CacheLine* packed);
  // Around calls of product(), on the thread that makes them.
  void (*begin)();
  void (*end)();
  // All of a tile's tokens, to whole panels of channels, from `packed` on; rows of sums are
  // `stride` floats apart.
  void (*product)(const CacheLine* packed, size_t rank, size_t channel_panels,
                  const ComponentRows& components, float* sums, size_t stride);
  // No transform: u is the component. `stride` in elements.
  void (*widen)(const uint16_t* components, size_t components_stride, size_t tokens,
                size_t channels, float* sums, size_t stride);
};

constexpr size_t packed_lines(size_t rank, size_t width, const InverseKernels& kernels) {
  return panels(rank) * panels(width) * kPanel * kPanel * kernels.element_bytes / sizeof(CacheLine);
}

// RoPE of a tile: rows of kernels/plane/row_ropes.h.
struct Rotation {
  const float* cosine;
  const float* sine;
  size_t stride;  // floats from token to token
  size_t pairs, first_dim;
  bool interleaved;  // two floats a pair: its cosine twice; its sine, first negative
};

// Heads of one layer, the first `tokens` of a tile.
struct HeadRows {
  const float* sums;  // u
  size_t stride;
  size_t tokens, heads, dim;
  const float* scale;  // [head][dim], and the mean too
  const float* mean;
  const Rotation* rotation;  // nullptr: none
  std::byte* to;
  size_t to_stride;  // bytes
};

// x = fma(scale, u, mean), turned by RoPE, rounded to nearest even.
struct FinishKernels {
  void (*to_bf16)(const HeadRows& rows);
  void (*to_f16)(const HeadRows& rows);
  void (*to_f32)(const HeadRows& rows);
};

namespace scalar {
extern const InverseKernels kInverseKernels;
extern const FinishKernels kFinishKernels;
}  // namespace scalar
namespace avx2 {
extern const InverseKernels kInverseKernels;
extern const FinishKernels kFinishKernels;
}  // namespace avx2
namespace avx512 {
extern const InverseKernels kInverseKernels;
extern const FinishKernels kFinishKernels;
}  // namespace avx512
namespace avx512_bf16 {
extern const InverseKernels kInverseKernels;
extern const FinishKernels kFinishKernels;
// Each panel is [pair of components][channel], two bf16 a channel.
void pack(const uint16_t* basis, size_t rank, size_t width, CacheLine* packed);
}  // namespace avx512_bf16
namespace amx {
extern const InverseKernels kInverseKernels;
}

}  // namespace kvcast::kernels
