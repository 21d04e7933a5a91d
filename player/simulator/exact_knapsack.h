// The multiple-choice knapsack, solved: one option of each item, most value within a capacity.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace kvcast::player {

struct KnapsackOption {
  double bytes = 0, value = 0;
};

struct KnapsackPlan {
  double bytes = 0, value = 0;
  std::vector<size_t> options;  // the chosen one of each item
};

// None if even the smallest options exceed the capacity. `tolerance`: how much value the plan may
// lack. By dynamic programming over undominated (bytes, value), pruned by the linear relaxation
// (Pisinger, "A minimal algorithm for the multiple-choice knapsack problem", 1995).
std::optional<KnapsackPlan> solve_knapsack(const std::vector<std::vector<KnapsackOption>>& items,
                                           double capacity_bytes, double tolerance);

}  // namespace kvcast::player
