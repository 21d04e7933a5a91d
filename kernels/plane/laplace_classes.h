// Test helper: classes whose tables are exact for Laplace-distributed coefficients.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"

namespace kvcast::kernels {

// One class a scale; scales are mean magnitudes in steps. `dropped_bits` of the base = number of
// passes.
std::vector<ScaleClass> laplace_classes(std::span<const double> scales, double rounding,
                                        uint32_t dropped_bits);

}  // namespace kvcast::kernels
