// The simulator against reality: the same plays over real sockets and in virtual time, and what the
// optimum says of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/reality/machine.h"
#include "tools/reality/real_play.h"

namespace kvcast::reality {

struct ComparisonParams {
  std::string store, manifest;  // as in RealPlay
  std::string scratch_folder;
  std::vector<Path> paths = {Path::kOrigin, Path::kProxy, Path::kShaped};
  uint32_t plays = 3;                                  // links of each family
  double rtt_s = 0.02, loss = 0.01;                    // of the proxy
  double tokens_per_s = 2700, position_cost = 6.8e-4;  // of the engine
  uint64_t seed = 1;
};

// What plays: a controller, and how.
struct Way {
  std::string controller;
  bool finish_early = false;
  std::string name() const { return controller + (finish_early ? ", early" : ""); }
};

struct Run {
  Path path = Path::kOrigin;
  std::string link;  // family and number
  Way way;
  double slo_ms = 0, real_ms = 0, simulated_ms = 0;  // real, simulated: TTFT
  double least_ms = 0;                               // the optimum's TTFT
  bool real_met = false, simulated_met = false;
  double real_quality = 0, simulated_quality = 0;
  std::string error;   // of a real play that did not end
  double off() const;  // |real - simulated|, a share of the simulated
  // The default controller's promise: the optimum has a tenth of the SLO to spare.
  bool promised() const { return way.controller == "layered" && least_ms <= 0.9 * slo_ms; }
};

struct Comparison {
  Machine machine;
  std::vector<Run> runs;
  std::string no_shaped_link;  // why kShaped was left out; empty: it was not
};

using Progress = std::function<void(size_t done, size_t all)>;
manifests::Result<Comparison> compare(const ComparisonParams& params, const Progress& progress);

// Of the runs over one path, of one way or of all.
struct Summary {
  size_t runs = 0;
  double median_off = 0, p90_off = 0;
  size_t real_misses = 0, simulated_misses = 0, failed = 0;
  size_t promised = 0, broken = 0;  // promises of the default
};
Summary summarise(const std::vector<Run>& runs, Path path, const std::string& way = "");
double most_off(Path path);  // the bar on the median

}  // namespace kvcast::reality
