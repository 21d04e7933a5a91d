// The whole comparison: presentations x families of links x SLOs, every controller.
//
// Traces are in megabits, caches in gigabytes, so each family is scaled to the presentation: in
// rate such that loading all lowest levels at its mean rate takes half as long as recomputing all,
// and in time such that at least kLeastSteps of a trace's steps fall within the shortest SLO. SLOs
// are multiples of the family's median of the least TTFT that any planner could have reached.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/simulate/sweep.h"

namespace kvcast::simulate {

inline constexpr double kLeastSteps = 8;
inline constexpr double kSloFactors[] = {0.5, 1, 2};

struct MatrixParams {
  player::SimulationParams simulation;  // all but the SLO
  uint32_t plays = 40;                  // of each family, presentation and SLO
  uint64_t seed = 1;
  std::vector<std::string> controllers;
  unsigned threads = 1;
};

struct Cell {
  std::string presentation, family;
  double slo_factor = 1, slo_ms = 0, rate_scale = 1, time_scale = 1, steps_in_slo = 0;
  Sweep sweep;
};

manifests::Result<std::vector<Cell>> run_matrix(
    const std::vector<player::SimulatedPresentation>& presentations,
    const std::vector<NamedTrace>& traces, const MatrixParams& params, const Progress& progress);

// Rows over the cells for which `chosen` is true, each play counting once.
std::vector<Row> rows_of(const std::vector<Cell>& cells,
                         const std::function<bool(const Cell&)>& chosen);

// The default's promises, from the rows of all and of each family.
struct Bars {
  double miss_points_above_optimum = 0;  // bar 0.5
  double regret = 0;                     // bar 0.02
  // The worst family: how much another controller's quality on time is above the default's.
  std::string worst_family, worst_rival;
  double worst_lead = 0;
  double lead_overall = 0;  // of the default over the best other controller
  double plays_per_minute = 0;
};
Bars bars_of(const std::vector<Cell>& cells);

// CPU time of one decision of a controller at 64 chunks x 4 levels, over a whole play.
struct DecisionTime {
  double mean_us = 0, worst_us = 0;
};
manifests::Result<DecisionTime> time_decisions(const std::string& controller);

}  // namespace kvcast::simulate
