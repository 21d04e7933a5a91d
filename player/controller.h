// The policy of a play, as pure functions: what is known goes in, what to do comes out. No clock,
// no I/O, no threads, so that the player and a simulator in virtual time use the same.
//
// The default, "layered", rests on two facts. Recomputing a chunk needs KV of all tokens before it,
// so the engine recomputes from the front while the network brings bases from the back: wherever
// they meet, every chunk is there, and no forecast was needed (the idea of meeting in the middle is
// Cake's, arXiv 2410.03065). And planes are additive, so whatever time is left until the freeze
// goes to the planes that remove most distortion per byte, of the chunks that recomputation will
// not reach.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::player {

// One step of a chunk's ladder: a plane, or the exact object as the only one.
struct Rung {
  uint64_t bytes = 0;
  double quality = 0;   // of the chunk with this plane and those before it, 0 to 1
  double decode_s = 0;  // of all planes up to this one, by the whole decode pool
};

struct ChunkState {
  uint64_t tokens = 0;
  std::vector<Rung> ladder;
  int min_level = 0;
  int max_level = 0;        // what is wanted and, as far as is known, can be had; -1: nothing
  uint32_t held = 0;        // bit n: plane n is here, checked
  uint32_t fetching = 0;    // bit n: plane n is under way
  int decoded_level = -1;   // in the sink
  int decoding_level = -1;  // being decoded
  bool recomputed = false;  // in the sink, and better than any level
  double recompute_s = 0;   // all of it, by the engine

  int held_level() const;    // largest n such that planes 0..n are here; -1: none
  int coming_level() const;  // the same of planes here or under way
  bool network_can() const { return max_level >= min_level; }
  bool in_hand() const { return recomputed || held_level() >= min_level; }
  bool in_sink() const { return recomputed || decoded_level >= min_level; }
};

// What the link brought between two ends of transfers: seconds in which any was receiving.
struct RateSample {
  double bytes = 0, seconds = 0;
  double bytes_per_s() const { return bytes / seconds; }
};

// Seconds count from the play request.
struct Observation {
  double now_s = 0;
  double deadline_s = 0;  // for the first token
  double freeze_s = 0;    // last moment to change KV: estimator.h
  bool frozen = false;    // it has come: only decoding what is here is left
  std::vector<ChunkState> chunks;
  bool recompute_available = false;
  std::optional<uint32_t> recomputing;  // chunk
  double recompute_elapsed_s = 0;       // of that chunk
  double engine_slack = 1.2;            // times its prediction that a recompute may take, as seen
  double rate_bytes_per_s = 0;          // 0: not known yet
  double ttfb_s = 0;
  std::vector<RateSample> history;  // of the link, the newest last; some tens at most
  uint64_t in_flight_bytes = 0;     // still to come of the transfers under way
  uint32_t free_transfers = 0;      // that may start now
  uint32_t free_decodes = 0;        // chunks
  double gpu_seconds_price = 0;
  bool finish_early = false;
};

struct Fetch {
  uint32_t chunk = 0, plane = 0;
  bool urgent = false;  // the play cannot end without it
  std::string reason;
};
struct Cancel {
  uint32_t chunk = 0, plane = 0;
  std::string reason;
};
struct Decode {
  uint32_t chunk = 0, level = 0;
  std::string reason;
};

struct Choice {
  std::vector<Fetch> start;  // in order; beyond free_transfers they queue
  std::vector<Cancel> cancel;
  std::optional<uint32_t> recompute;  // the chunk to be recomputing; another one is cancelled
  std::string recompute_reason;
  std::vector<Decode> decode;  // in order; at most free_decodes unless frozen
  bool freeze = false;         // every chunk is in hand, and this is what is handed over
  std::string freeze_reason;
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual Choice decide(const Observation& seen) const = 0;
};

// The default and, for comparison, what others do:
//   layered            this page's policy
//   layered-no-text    the same, recomputing only what the network cannot bring
//   refetch            bases first, then whole chunks again at a higher level
//   chance             levels that come in time with 95% probability; recomputes from the front
//   robust-mpc         levels by the mean rate, less its worst recent error
//   throughput         levels by the slower of two moving averages; abandons
//   cachegen-paper     CacheGen's rule as published: the last chunk's rate
//   cachegen-artifact  CacheGen's rule as in its code: an equal share of the SLO a chunk
//   fixed:<level>      all planes up to a level, no more, no less
//   text               recompute only
// Those that choose levels chunk by chunk load a level's planes together, as one object would be.
// An unknown name is an error that lists them.
manifests::Result<std::unique_ptr<Controller>> make_controller(std::string_view name);

// All names, fixed:0 for its kind. For help and for "all of them".
std::vector<std::string_view> controller_names();

}  // namespace kvcast::player
