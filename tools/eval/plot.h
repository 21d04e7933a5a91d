// Bits per element against KL as an SVG.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tools/eval/results.h"

namespace kvcast::eval {

// A line a curve, both axes logarithmic, 95% bars of KL; rows without KL (exact) are left out.
std::string plot_svg(std::span<const Row> rows, uint64_t elements, const std::string& title);

}  // namespace kvcast::eval
