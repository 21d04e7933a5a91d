// What a play did, for people and machines. Contract: the keys of report_json and event_json are
// read by other tools.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "manifests/result.h"

namespace kvcast::player {

struct ChunkReport {
  uint64_t token_begin = 0, token_end = 0;
  bool recomputed = false;        // else it came from the network
  std::optional<uint32_t> level;  // delivered; none when recomputed, or when `exact`
  bool exact = false;             // the lossless object
  double quality = 0;             // expected top-1 agreement; 1 - D/D0 where uncalibrated
  uint64_t bytes_fetched = 0;     // also what was not used in the end
};

struct PlayReport {
  std::string presentation, controller;
  uint64_t tokens = 0;  // whose KV was handed over; the engine prefills the rest
  double ttft_slo_ms = 0;
  double suffix_prefill_ms = 0;  // as planned with
  double freeze_ms = 0;          // when the KV stopped changing
  double kv_ready_ms = 0;        // when the last layer was handed over
  double ttft_ms = 0;  // filled by whoever runs the engine; else kv_ready + suffix_prefill
  bool met = false;
  uint64_t bytes_fetched = 0;  // bodies of all responses: manifest, profile, text, objects
  uint64_t bytes_unused = 0;   // of them, planes that no delivered chunk uses
  uint64_t raw_bytes = 0;      // of the tokens handed over
  uint64_t recomputed_tokens = 0;
  double gpu_seconds = 0;  // of recomputation, cancelled tasks included
  double quality = 0;      // token-weighted mean over chunks
  uint32_t requests = 0, retries = 0, failures = 0;
  double decision_max_ms = 0;  // the slowest decision of the controller
  std::vector<ChunkReport> chunks;
  std::optional<double> mean_kl,
      top1_agreement;  // of a continuation against the uncompressed cache
};

// One decision or observation. `what` names it ("fetch", "cancel", "recompute", "decode", "freeze",
// "complete", ...); `reason` is a sentence with its numbers.
struct PlayEvent {
  double time_ms = 0;     // since the play request
  std::string_view what;  // a literal
  std::optional<uint32_t> chunk, plane;
  std::string reason;
  std::vector<std::pair<std::string_view, double>> numbers;
};

using EventHandler = std::function<void(const PlayEvent&)>;  // on the session's thread

// One object, one line.
std::string report_json(const PlayReport& report);
std::string event_json(const PlayEvent& event);

// A step of a link's true rate: from begin_s to the next step's.
struct LinkRate {
  double begin_s = 0;
  double bytes_per_s = 0;
};

// DIR/report.json, DIR/events.jsonl, DIR/report.html (one self-contained page to look at) and
// DIR/perfetto.json (to open in ui.perfetto.dev). `link` is the link's true rate where it is known:
// a simulation, an emulated link.
manifests::Status write_report(const std::string& dir, const PlayReport& report,
                               const std::vector<PlayEvent>& events,
                               const std::vector<LinkRate>& link = {});

}  // namespace kvcast::player
