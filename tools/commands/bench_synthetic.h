// Coding speed on synthetic symbols of known entropy, on one core: every implementation that runs
// here beside public codecs and memcpy, medians of the same run.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

namespace kvcast::tools {

struct SyntheticBench {
  int runs = 9;
  std::vector<double> bits = {0.5, 1, 1.5, 2.5, 4};  // entropy of the symbols
};

// Rows {operation, implementation, symbols_per_s, bytes_out_per_s, bits_per_symbol}.
std::vector<nlohmann::json> synthetic_rows(const SyntheticBench& bench);

}  // namespace kvcast::tools
