#include <immintrin.h>

#include "kernels/transform/inverse_loops.h"

namespace kvcast::kernels::amx {
namespace {

// All tiles are 16 rows of a cache line. A thread that leaves them configured pays at each of its
// context switches.
void begin() {
  struct alignas(64) Configuration {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static constexpr Configuration kAllTiles;
  _tile_loadconfig(&kAllTiles);
}

void end() {
  _tile_release();
}

// A panel of channels, basis its panels: tiles 0 to 3 sum up products of 4 and 5, the tokens'
// halves, with 6 and 7, the channels' halves.
void sum_panel(const std::byte* basis, size_t component_panels, const ComponentRows& components,
               float* sums, size_t stride) {
  const size_t token_bytes = components.token_stride * sizeof(uint16_t);
  constexpr size_t kPairBytes = 2 * kPanel * sizeof(uint16_t);
  constexpr size_t kTileRows = 16, kLineBytes = sizeof(CacheLine);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (size_t p = 0; p < component_panels; ++p, basis += kTileRows * kPairBytes) {
    _tile_loadd(4, components.of(p, 0), token_bytes);
    _tile_loadd(6, basis, kPairBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, components.of(p, kTileRows), token_bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, basis + kLineBytes, kPairBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  const size_t row_bytes = stride * sizeof(float);
  _tile_stored(0, sums, row_bytes);
  _tile_stored(1, sums + kPanel / 2, row_bytes);
  _tile_stored(2, sums + kTileRows * stride, row_bytes);
  _tile_stored(3, sums + kTileRows * stride + kPanel / 2, row_bytes);
}

void product(const CacheLine* packed, size_t rank, size_t channel_panels,
             const ComponentRows& components, float* sums, size_t stride) {
  const auto* const basis = reinterpret_cast<const std::byte*>(packed);
  const size_t basis_bytes = panels(rank) * kPanel * kPanel * sizeof(uint16_t);
  for (size_t c = 0; c < channel_panels; ++c)
    sum_panel(basis + c * basis_bytes, panels(rank), components, sums + c * kPanel, stride);
}

}  // namespace

constexpr InverseKernels kInverseKernels{
    sizeof(uint16_t), avx512_bf16::pack, begin, end, product, widen};

}  // namespace kvcast::kernels::amx
