// A dense matrix times a tile of tokens, laid out so that compilers vectorise over the tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvcast::kernels::transform {

inline constexpr size_t kTileTokens = 16;

// matrix: [rows][columns]. in: [columns][kTileTokens]. out: [rows][kTileTokens] = matrix * in. Each
// sum runs over the columns in ascending order from 0, one rounding an operation.
void multiply_tile(std::span<const float> matrix, size_t rows, size_t columns,
                   std::span<const float> in, std::span<float> out);

}  // namespace kvcast::kernels::transform
