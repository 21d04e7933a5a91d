// What goes wrong in one play, drawn from a seed. Times are seconds of the play.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvcast::player {

struct Interval {
  double begin_s = 0, end_s = 0;
  bool holds(double time_s) const { return begin_s <= time_s && time_s < end_s; }
};

enum class Fault {
  kNone,
  kReset,        // in mid-body
  kStall,        // in mid-body, silently
  kShort,        // the body ends early, and Content-Length agrees
  kWrongLength,  // Content-Length says another size
  kCorrupt,      // a byte is flipped
  kSlowHeaders,
  kStatus404,
  kStatus429,  // with Retry-After
  kStatus500,
  kStatus503,
};

struct Schedule {
  uint64_t seed = 0;
  double slo_ms = 1000;
  uint32_t bases = 1;
  std::vector<std::pair<double, double>> rates;  // from when, bytes/s; 0: an outage
  double latency_s = 0.002;                      // of a first byte
  std::vector<Interval> killed[2];               // by base: connections reset, new ones refused
  std::vector<Interval> vanished[2];             // no answer to anything
  std::vector<Interval> nameless[2];             // its name does not resolve
  double fault_rate = 0;                         // of requests
  std::vector<Fault> faults;                     // drawn from
  bool manifest_spared = true;                   // its requests meet no faults of requests
  std::optional<double> dead_from_s;             // the whole network, for good
  bool engine = true, text = true;
  double engine_s_per_chunk = 0.05;
  std::optional<uint64_t> engine_fails_from;  // token
  bool sink_full = false;
  uint32_t min_level = 0;

  std::string describe() const;
};

Schedule draw_schedule(uint64_t seed);

}  // namespace kvcast::player
