// What `kvcast simulate` and `kvcast bench play` are told.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "player/simulator.h"
#include "tools/simulate/presentations.h"
#include "tools/simulate/sweep.h"

namespace kvcast::tools {

// The world of a simulation: link, engine, decoder.
struct WorldOptions {
  double rtt_ms = 1, server_ms = 0, suffix_ms = 0, header_bytes = 0, gpu_seconds_price = 0,
         engine_slowdown = 1;
  double prefill_tokens_per_s = 0, position_cost = -1, decode_gb_per_s = 0;
  uint32_t connections = 4;
  bool no_slow_start = false, no_text = false, finish_early = false;
  simulate::Selection selection;
  int max_level = -1;

  player::SimulationParams params() const;
  simulate::Speeds speeds() const;
  simulate::Selection levels() const;
};

struct SimulateOptions {
  std::string manifest, synthetic, svg, report;
  std::vector<std::string> traces, controllers;
  double ttft_slo_ms = 0;
  simulate::ScenarioParams scenarios;
  WorldOptions world;
  unsigned threads = 1;
  uint32_t report_link = 0;
  bool json = false;
};

void add_world_options(CLI::App& command, WorldOptions& options);
void add_simulate_options(CLI::App& command, SimulateOptions& options);

// A manifest's path, or one synthetic description.
manifests::Result<player::SimulatedPresentation> load_presentation(const std::string& manifest,
                                                                   const std::string& synthetic,
                                                                   const WorldOptions& world);

// Those named, or when none is all of them, fixed levels 0 to 3 for their kind.
std::vector<std::string> chosen_controllers(const std::vector<std::string>& named);

// On stderr, a line that is rewritten, where it is a terminal.
simulate::Progress progress_line(const char* what);

}  // namespace kvcast::tools
