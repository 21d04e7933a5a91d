// The spans of a play on its lanes, from the events of its journal: what the page and the Perfetto
// trace draw. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "player/report.h"

namespace kvcast::player {

struct Span {
  enum class Kind { kNetwork, kDecode, kRecompute };
  Kind kind = Kind::kNetwork;
  uint32_t lane = 0;  // within its kind: spans of one lane never overlap
  double begin_ms = 0, end_ms = 0;
  std::optional<uint32_t> chunk, plane;  // `plane` of a decode: the level it brings
  uint64_t bytes = 0;                    // received; network only
  std::string name;
  std::string outcome;  // "complete", "cancelled", "failed", ...; "unfinished" where none was noted
  std::string reason;   // why it was begun, then what became of it
};

struct RatePoint {
  double time_ms = 0;
  double bytes_per_s = 0;
};

struct Timeline {
  std::vector<Span> spans;                       // by begin
  uint32_t network_lanes = 0, decode_lanes = 0;  // as many as were in use at once
  std::vector<RatePoint> measured;               // over bins of equal width, 0 where idle
  std::vector<RatePoint> predicted;              // the estimate at the time
  std::optional<double> freeze_ms;
  double end_ms = 0;  // the last event, deadline or first token
};

Timeline make_timeline(const PlayReport& report, const std::vector<PlayEvent>& events);

}  // namespace kvcast::player
