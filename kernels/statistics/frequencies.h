// From counts to the 12-bit frequencies of a probability table. Only IEEE arithmetic, no libm: the
// same everywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::kernels {

// 1 to kMaxAlphabet weights, finite, >= 0, not all 0. The frequencies sum to 4096; each positive
// weight gets at least 1, each zero weight 0. Rounding is chosen greedily for the fewest bits.
std::vector<uint16_t> to_frequencies(std::span<const double> weights);

}  // namespace kvcast::kernels
