// Downloads of one play with what they teach about the link: rate by tier, time to first byte,
// bytes under way. Everything that happens to a request is an event with its numbers. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "player/download.h"
#include "player/estimator/rate_samples.h"
#include "player/play_history.h"
#include "player/session/journal.h"
#include "player/throughput.h"

namespace kvcast::player {

// What is being fetched: a plane of a chunk, or something else by name.
struct Want {
  enum class Kind { kManifest, kProfile, kText, kPlane, kRaw } kind = Kind::kManifest;
  uint32_t chunk = 0, plane = 0;
};

class Link {
 public:
  struct Outcome {
    Want want;
    std::string name;
    std::vector<std::byte> bytes;           // complete
    std::optional<manifests::Error> error;  // failed for good
  };

  // All must outlive it; `history` may be null. `wall_clock_s`: seconds since 1970, for its ages.
  Link(Downloader& downloader, const Journal& journal, double rate_prior_bytes_per_s,
       PlayHistory* history = nullptr, int64_t wall_clock_s = 0)
      : downloader_(downloader),
        journal_(journal),
        history_(history),
        wall_clock_s_(wall_clock_s),
        throughput_(rate_prior_bytes_per_s) {}
  ~Link();  // leaves in the history what was learned
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void start(const Want& want, DownloadRequest request);
  void cancel(const Want& want);
  void cancel_all();

  // What ended; everything else is noted and counted here.
  std::vector<Outcome> poll(std::chrono::nanoseconds max_wait);

  double rate_bytes_per_s() const { return throughput_.bytes_per_s(journal_.now_s()); }
  double ttfb_s() const { return ttfb_.spread().median; }
  void history(std::vector<RateSample>& samples) const {
    samples_.latest(journal_.now_s(), samples);
  }
  LinkForecast forecast() const;  // for the next object, on a kept connection
  uint64_t in_flight_bytes() const;

  // How many more transfers may start. Beyond `usual` ones more, up to `most`, while what is under
  // way would not fill the link until the answer to another request came, at the rate measured:
  // what earlier plays or servers say of it opens no connections.
  uint32_t free_transfers(uint32_t usual, uint32_t most) const;

  // Bytes here that still have to be decoded, and whether something is being decoded. Too many and
  // reading pauses, so that servers slow down rather than memory grow.
  void set_backlog(uint64_t bytes, bool decoding, uint64_t limit_bytes);
  uint32_t running() const { return static_cast<uint32_t>(running_.size()); }

  uint64_t bytes_fetched() const { return bytes_fetched_; }
  uint64_t chunk_bytes(uint32_t chunk) const {
    return chunk < chunk_bytes_.size() ? chunk_bytes_[chunk] : 0;
  }
  uint32_t requests() const { return requests_; }
  uint32_t retries() const { return retries_; }
  uint32_t failures() const { return failures_; }
  uint32_t hedges() const { return hedges_; }
  uint64_t bytes_twice() const { return downloader_.bytes_twice(); }  // that hedges cost

 private:
  struct Body {  // of one attempt, that is being received
    Tier tier = Tier::kOrigin;
    std::string host;
  };
  struct Running {
    Want want;
    std::string name;
    uint64_t expected_bytes = 0, received_bytes = 0;
    std::map<uint32_t, Body> bodies;  // by attempt
  };
  struct Host {
    ThroughputEstimator throughput;
    LatencyEstimator ttfb;
    double rtt_s = 0;
  };
  using Numbers = std::vector<std::pair<std::string_view, double>>;
  void note(std::string_view what, const Running& running, const DownloadEvent& event,
            Numbers more = {});
  void count(const Running& running, uint64_t new_bytes);
  void meet(const std::string& host);
  void enter_body(Running& running, const DownloadEvent& event);
  void take_data(Running& running, const DownloadEvent& event);
  void leave_body(Running& running, uint32_t attempt, double time_s);
  void leave_bodies(Running& running, double time_s);
  std::optional<Outcome> take(DownloadEvent& event);

  Downloader& downloader_;
  const Journal& journal_;
  PlayHistory* history_;
  int64_t wall_clock_s_;
  ThroughputEstimator throughput_;
  RateSamples samples_;
  LatencyEstimator ttfb_;
  double rtt_s_ = 0;
  bool paused_ = false;
  std::map<std::string, Host> hosts_;
  std::map<DownloadId, Running> running_;
  std::vector<uint64_t> chunk_bytes_;
  uint64_t bytes_fetched_ = 0;
  uint32_t requests_ = 0, retries_ = 0, failures_ = 0, hedges_ = 0;
};

}  // namespace kvcast::player
