// Fixed-rate scalar quantisation of components of known variance.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::eval {

inline constexpr uint32_t kMostBits = 8;

// Bits of each component, 0 to 8, that sum to at most `budget`: one after the other to whichever
// component's distortion falls most (Gersho & Gray, ch. 8.4; optimal, distortion being convex in
// bits).
std::vector<uint8_t> allocate_bits(std::span<const double> variance, uint64_t budget);

// The best uniform quantiser with 2^bits cells for a Gaussian of deviation 1 (Max 1960, table II).
double gauss_step(uint32_t bits);
double gauss_distortion(uint32_t bits);

}  // namespace kvcast::eval
