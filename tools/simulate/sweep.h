// Many plays of one presentation: every controller, and the optimum, on the same links.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/simulator.h"
#include "tools/simulate/link_traces.h"

namespace kvcast::simulate {

// A play's link: a trace, scaled, from a moment on.
struct Scenario {
  player::LinkTrace link;
};

struct ScenarioParams {
  double rate_scale = 1, time_scale = 1;
  // 0: one play a trace, from its beginning; its last rate holds. Else so many plays a trace, each
  // from a random moment on; the trace repeats.
  uint32_t offsets = 0;
  uint64_t seed = 1;
};
std::vector<Scenario> scenarios_of(const std::vector<NamedTrace>& traces,
                                   const ScenarioParams& params);

// What counts of a play.
struct Outcome {
  bool met = false;
  double ttft_s = 0, quality = 0, bytes = 0, gpu_seconds = 0;
};

struct Sweep {
  std::vector<std::string> controllers;
  std::vector<std::vector<Outcome>> outcomes;  // [controller][scenario]
  std::vector<Outcome> optimum;                // [scenario]
  double seconds = 0;                          // of CPU time, on all threads together
  uint64_t plays = 0, decisions = 0;
};

double thread_cpu_s();  // that the calling thread has used: what else the machine does is not in it

using Progress = std::function<void(uint64_t done, uint64_t all)>;  // of plays; one thread at once

// Error: a controller's name is unknown.
manifests::Result<Sweep> run_sweep(const player::SimulatedPresentation& presentation,
                                   const std::vector<Scenario>& scenarios,
                                   const player::SimulationParams& params,
                                   const std::vector<std::string>& controllers, unsigned threads,
                                   const Progress& progress);

// Of one controller, or of the optimum.
struct Row {
  std::string controller;
  bool is_default = false;
  uint64_t runs = 0;
  double miss_rate = 0;
  double quality = 0;          // mean over all runs, late ones too
  double quality_on_time = 0;  // the same, a late run counting 0
  double regret = 0;           // what quality_on_time lacks of the optimum's
  double ttft_p50_ms = 0, ttft_p95_ms = 0, ttft_p99_ms = 0;
  double bytes = 0, gpu_seconds = 0;  // mean
};

// The controllers in their order, then the optimum; of the scenarios for which `chosen` is true.
std::vector<Row> rows_of(const Sweep& sweep, const std::function<bool(size_t scenario)>& chosen);

}  // namespace kvcast::simulate
