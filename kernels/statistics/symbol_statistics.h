// Quantises coefficients and counts what a scale class would have to code.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/statistics/class_statistics.h"

namespace kvcast::kernels {

// `passes`: the bits the section's base drops.
ClassStatistics symbol_statistics(std::span<const float> y, float step, float rounding,
                                  uint32_t passes);

}  // namespace kvcast::kernels
