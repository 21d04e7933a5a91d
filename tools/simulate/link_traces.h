// The links of a simulation: recorded ones from files, and seeded families.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"
#include "player/simulator.h"

namespace kvcast::simulate {

struct NamedTrace {
  std::string name, family;  // family: the folder of a file, or the kind of a synthetic one
  std::vector<player::LinkTrace::Step> steps;
  double seconds = 0;  // all of it, the last step too
  double step_s = 0;   // the median step

  player::LinkTrace held() const { return player::LinkTrace(steps); }
  player::LinkTrace looped() const { return player::LinkTrace(steps, seconds); }
  double mean_bytes_per_s() const { return looped().mean_bytes_per_s(); }
};

inline constexpr uint32_t kMostTraces = 100'000;

// A file, every file of a folder and of its folders except README*, or a synthetic family (its
// name, or name:key=value,...; families.h).
manifests::Result<std::vector<NamedTrace>> load_traces(const std::vector<std::string>& specs);

// The formats, told by their first line; `name` is for messages:
//   two numbers a line    seconds and Mbit/s (origin/trace.h); what `play --record` writes
//   a whole number a line Mahimahi: the millisecond of a 1,500-byte delivery; rates of 0.1 s
//   a JSON object a line  CacheGen's bw.jsonl: {"bw": [Gbit/s, ...]}, a trace a line, 1 s a value
manifests::Result<std::vector<NamedTrace>> import_traces(std::string_view text,
                                                         const std::string& name,
                                                         const std::string& family);

}  // namespace kvcast::simulate
