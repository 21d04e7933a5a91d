// A play in virtual time, for tests of controllers: an ideal link whose rate follows a trace,
// shared equally by the transfers under way; an engine and a decoder with known speeds.
// Deterministic.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "player/controller.h"

namespace kvcast::player {

struct VirtualPlay {
  std::vector<ChunkState> chunks;                  // ladders, levels, recompute_s
  std::function<double(double)> rate_bytes_per_s;  // of the link, at a time
  double ttfb_s = 0.001;
  uint32_t connections = 4;
  double deadline_s = 1, suffix_prefill_s = 0.02;
  double gpu_seconds_price = 0;
  bool recompute_available = true, finish_early = false;
  double step_s = 0.0005;
  double give_up_s = 60;
  // Planes that turn out not to be there, when they are first asked for.
  std::function<bool(uint32_t chunk, uint32_t plane)> lost;
};

struct VirtualOutcome {
  bool complete = false;  // handed over within give_up_s
  double ttft_s = 0;
  std::vector<ChunkState> chunks;  // at the end
  uint64_t bytes = 0;
  double gpu_s = 0;
  double quality = 0;
  std::vector<Fetch> fetches;  // in the order started
};

VirtualOutcome run_virtual(const Controller& controller, const VirtualPlay& play);

// Least TTFT of a planner who knows the link: text for the first k chunks, the lowest levels of the
// others, all transfers at the full rate.
double optimum_ttft_s(const VirtualPlay& play);

}  // namespace kvcast::player
