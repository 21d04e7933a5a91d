#include "kernels/cuda/finish_choice.h"

#include <algorithm>

#include "kernels/cuda/tiles.h"

namespace kvcast::kernels {
namespace {

const Rope* rope_of(const SectionShape& shape, uint32_t layer) {
  if (shape.side != Side::kKey) return nullptr;
  const uint8_t index = shape.profile->layer_rope[shape.layers.first_layer + layer];
  return index == kNoRope ? nullptr : &shape.profile->ropes[index];
}

// Eight dims from a multiple of eight on are turned with eight others in order, or among
// themselves.
bool turns_in_eights(const Rope& rope) {
  const size_t pairs = rope.inv_freq.size();
  if (rope.first_dim % 8 != 0) return false;
  return rope.layout == Rope::Layout::kInterleaved ? pairs % 4 == 0 : pairs % 8 == 0;
}

bool fits_rows(const SectionShape& shape, uint32_t dim) {
  const auto& order = shape.codec->order;
  if (dim % 8 != 0 || !std::is_sorted(order.begin(), order.end())) return false;
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    const Rope* const rope = rope_of(shape, layer);
    if (rope && !turns_in_eights(*rope)) return false;
  }
  return true;
}

bool fits_tiles(const SectionShape& shape, uint32_t dim) {
  if (dim % 8 != 0) return false;
  const bool heads = uses_rope(shape);
  if (heads && dim > kTileChannels) return false;
  const uint32_t unit = heads ? dim : 8;
  return std::all_of(shape.codec->blocks.begin(), shape.codec->blocks.end(),
                     [unit](const TransformBlock& block) {
                       return block.first_channel % unit == 0 && block.width % unit == 0;
                     });
}

}  // namespace

bool uses_rope(const SectionShape& shape) {
  for (uint32_t layer = 0; layer < shape.layers.layers; ++layer) {
    if (rope_of(shape, layer)) return true;
  }
  return false;
}

FinishKind finish_kind(const SectionShape& shape) {
  const uint32_t dim = shape.profile->geometry.dim(shape.side);
  if (shape.codec->blocks.empty())
    return fits_rows(shape, dim) ? FinishKind::kRows : FinishKind::kElements;
  return fits_tiles(shape, dim) ? FinishKind::kTiles : FinishKind::kElements;
}

TileShape tile_shape(FinishKind kind, const SectionShape& shape) {
  switch (kind) {
    case FinishKind::kRows:
      return {kRowTokens, kRowChunks * 8};
    case FinishKind::kTiles:
      return {kTileTokens,
              channels_of_tile(uses_rope(shape), shape.profile->geometry.dim(shape.side))};
    case FinishKind::kElements:
      return {kElementTokens, kElementChannels};
  }
  return {};
}

}  // namespace kvcast::kernels
