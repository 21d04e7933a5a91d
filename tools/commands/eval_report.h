// What `kvcast eval` prints.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "tools/eval/plot.h"
#include "tools/eval/results.h"

namespace kvcast::tools {

// Every other curve at the KL of each point of "cachegen" (the context as one object), and every
// kvcast curve at each point of "kvtc-style". A single point has no curve.
std::vector<eval::EqualKlRatio> equal_kl_ratios(std::span<const eval::Row> rows, uint64_t elements);

nlohmann::ordered_json eval_json(std::span<const eval::Row> rows,
                                 std::span<const eval::EqualKlRatio> ratios, uint64_t elements);

void print_eval_table(std::span<const eval::Row> rows, std::span<const eval::EqualKlRatio> ratios,
                      uint64_t elements);

}  // namespace kvcast::tools
