// Whole chunks of the pocket model's shape, keys with RoPE, four planes, with every scope of
// transform: none, a head, a layer, all layers.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

std::vector<nlohmann::json> transform_rows(const BenchRounds& rounds);

}  // namespace kvcast::tools
