// Sizes of the tiles that the kernels of the inverse transform work on.
#pragma once

#include <cstdint>

namespace kvcast::kernels {

inline constexpr uint32_t kRowTokens = 16, kRowChunks = 64;  // chunks of eight channels
inline constexpr uint32_t kTileTokens = 128, kTileChannels = 128;
inline constexpr uint32_t kElementTokens = 16, kElementChannels = 64;

// Channels of a tile on tensor cores: all of them, or as many as make whole heads.
constexpr uint32_t channels_of_tile(bool whole_heads, uint32_t dim) {
  return whole_heads ? kTileChannels / dim * dim : kTileChannels;
}

}  // namespace kvcast::kernels
