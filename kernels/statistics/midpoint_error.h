// What reconstruction costs: with every cell's middle, and with the points of a class instead
// (kernels/plane_format.md, section 2), before bf16 rounding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/profile.h"
#include "kernels/statistics/class_statistics.h"

namespace kvcast::kernels {

// [passes done, 0 to `passes`]: sums of squared errors, in squared finest steps.
std::vector<double> midpoint_errors(std::span<const float> y, float step, float rounding,
                                    uint32_t passes);

// [passes done]: what the class's points save of that, on elements of these statistics. Negative
// where they suit other elements.
std::vector<double> reconstruction_savings(const ClassStatistics& statistics,
                                           const ScaleClass& scale_class);

}  // namespace kvcast::kernels
