// Coding speed on synthetic data: every implementation that runs here beside public codecs and
// memcpy, on one core and on two, and with every scope of transform.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

struct SyntheticBench {
  BenchRounds rounds;
  std::vector<double> bits = {0.5, 1, 1.5, 2.5, 4};  // entropy of the symbols
};

// Rows of bench_measure.h; each entropy, and the transforms, are rounds of their own.
std::vector<nlohmann::json> synthetic_rows(const SyntheticBench& bench);

}  // namespace kvcast::tools
