// Loads the KV cache of a context before a deadline: the manifest, then per chunk either planes
// from the network, decoded while others arrive, or a recompute from its text.
//
// The calling thread runs the transport, the controller and all calls to the sink and the event
// handler; a small pool decodes; one thread recomputes. What a play never does: hand over a missing
// chunk, write KV from an object whose digest was not checked, or change a layer after it was
// handed over. When the deadline cannot be met it finishes by the fastest route and reports the
// miss: past the deadline it goes on while bytes arrive or the engine recomputes, not beyond
// DownloaderParams::late_limit if there is one, and gives up (kPromise) on a network that is silent
// for DownloaderParams::patience. When a chunk can neither be fetched nor recomputed it fails and
// says which and why.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "kernels/geometry.h"
#include "manifests/prefix_hash.h"
#include "manifests/result.h"
#include "player/download.h"
#include "player/play_history.h"
#include "player/recompute.h"
#include "player/report.h"
#include "player/sink.h"
#include "player/transport.h"

namespace kvcast::player {

// By URL, or by tokens: then only whole chunks inside the longest stored prefix are played.
struct Source {
  std::string manifest_url;
  std::string store_url, tenant = "public";
  manifests::PrefixSeed seed;
  std::vector<uint32_t> tokens;  // optional with a manifest_url: what to recompute from
};

// What the engine takes; what is empty is not compared. A difference is an error of kind kCorrupt.
struct EngineIdentity {
  std::string weights, adapter;
  std::optional<kernels::Geometry> geometry;
  // How it runs ("8 threads"): what a history remembers its speed by, beside machine and weights.
  std::string runs_on;
};

struct PlayParams {
  double ttft_slo_ms = 1000;     // from the start of the play to the first token's logits
  double suffix_prefill_ms = 0;  // what the engine still needs once the last layer is ready
  // The same as a function of how many tokens of KV there will be; absent: the constant.
  std::function<double(uint64_t)> suffix_prefill_ms_after;
  std::string controller = "layered";  // controller.h
  uint32_t min_level = 0;              // a chunk below it is not handed over
  std::optional<uint32_t> max_level;
  bool exact = false;              // the lossless objects instead of planes
  double gpu_seconds_price = 0;    // quality (0 to 1 over the context) that one second must bring
  uint32_t connections = 4;        // transfers at once
  uint32_t most_connections = 16;  // while rate x time to first byte exceeds what is under way
  bool warm = true;                // connects to stores ahead of need
  bool cmcd = true;                // tells servers about requests (cmcd.h)
  uint64_t backlog_limit_bytes = 256u << 20;  // fetched, not yet decoded: above it reading pauses
  uint32_t decode_threads = 2;                // 0: decodes on the calling thread
  bool finish_early = false;                  // freeze as soon as every chunk has min_level
  std::optional<uint64_t> token_limit;        // only whole chunks of the first so many tokens
  double rate_prior_bytes_per_s = 0;          // 0: none
  PlayHistory* history = nullptr;             // read at the start, added to at the end
  std::optional<int64_t> start_ns;            // of the transport's clock; absent: now
  EngineIdentity engine;
  DownloaderParams download;
};

// What a transport needs for such a play, hedges included.
inline uint32_t transport_connections(const PlayParams& params) {
  return std::max(params.connections, params.most_connections) + 4;
}

// `recompute` may be null. A stop ends it within some milliseconds, with an error that says
// "cancelled". With a store that holds nothing of the tokens the report has 0 tokens and the sink
// was not prepared.
manifests::Result<PlayReport> play(Transport& transport, const Source& source,
                                   const PlayParams& params, KvSink& sink, Recompute* recompute,
                                   const EventHandler& on_event = {}, std::stop_token stop = {});

// The baseline: an uncompressed KV file (safetensors), fetched whole by one GET.
manifests::Result<PlayReport> play_raw(Transport& transport, const std::string& url,
                                       const PlayParams& params, KvSink& sink,
                                       const EventHandler& on_event = {},
                                       std::stop_token stop = {});

}  // namespace kvcast::player
