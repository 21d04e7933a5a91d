// A family of scale classes that covers whatever a later chunk brings: discretised Gauss and
// Laplace distributions over geometric scales. Deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/statistics/class_statistics.h"

namespace kvcast::kernels {

// One distribution's statistics with total weight 1. `passes` 0 to kMaxDropBits; `rounding` is the
// quantiser's. Scales are standard deviations of 0.12 to 10 steps of the base.
std::vector<ClassStatistics> parametric_statistics(uint32_t passes, float rounding);

}  // namespace kvcast::kernels
