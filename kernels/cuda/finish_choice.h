// Which kernel takes a section from coefficients to the engine's tensor, and in what tiles.
#pragma once

#include <cstdint>

#include "kernels/plane/section_shape.h"

namespace kvcast::kernels {

enum class FinishKind {
  kRows,      // kernels/transform/inverse_rows.cuh
  kTiles,     // kernels/transform/inverse_tiles.cuh
  kElements,  // kernels/transform/inverse_elements.cuh
};

FinishKind finish_kind(const SectionShape& shape);
bool uses_rope(const SectionShape& shape);

// Tokens and channels of a tile.
struct TileShape {
  uint32_t tokens, channels;
};
TileShape tile_shape(FinishKind kind, const SectionShape& shape);

}  // namespace kvcast::kernels
