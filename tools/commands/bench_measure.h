// How the codec's benchmarks measure: rounds over all cases, so that whatever else the machine does
// meets all of them alike; medians, with the best beside.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvcast::tools {

struct BenchCase {
  std::string operation, implementation;
  double symbols = 0;    // coded by one call, or elements copied
  double bytes_out = 0;  // of decoded or encoded data
  double bits_per_symbol = 0;
  std::function<void()> work;
  // A case that starts threads or waits counts time on the clock; others the CPU time of this
  // thread, which other programs disturb less.
  bool wall_clock = false;
};

// How often, and which cases: those whose "operation, implementation" contains one of `only`, or
// all.
struct BenchRounds {
  int runs = 5;
  std::vector<std::string> only;
};

// A warm-up each, then rounds of three calls each, one after the other as a chunk's sections are
// coded; a case that has taken most of a second sits out the rest. Rows
// {operation, implementation, symbols_per_s, bytes_out_per_s, bits_per_symbol,
// best_symbols_per_s}.
std::vector<nlohmann::json> measure(const std::vector<BenchCase>& cases, const BenchRounds& rounds);

}  // namespace kvcast::tools
