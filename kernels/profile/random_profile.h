// Test helper: valid profiles of every shape the format allows, small ones.
#pragma once

#include <random>

#include "kernels/profile.h"

namespace kvcast::kernels {

enum class BlockKind { kNone, kPerHead, kPerLayer, kWholeGroup };

// Orthonormal to within bf16 rounding; `rank` of the rows of a random orthonormal matrix.
TransformBlock random_block(std::mt19937& random, uint32_t first_channel, uint32_t width,
                            uint32_t rank);

// One section's codec; `truncate` lets blocks keep fewer components than channels.
SectionCodec random_codec(std::mt19937& random, const Geometry& geometry, uint32_t layers,
                          Side side, BlockKind kind, bool truncate,
                          const std::vector<uint8_t>& drop_bits);

Profile random_profile(std::mt19937& random);

}  // namespace kvcast::kernels
