// Downloads of one play with what they teach about the link: rate, time to first byte, bytes under
// way. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "player/download.h"
#include "player/estimator.h"
#include "player/session/journal.h"

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

  // Both must outlive it.
  Link(Downloader& downloader, const Journal& journal, double rate_prior_bytes_per_s)
      : downloader_(downloader), journal_(journal), throughput_(rate_prior_bytes_per_s) {}

  void start(const Want& want, DownloadRequest request);
  void cancel(const Want& want);
  void cancel_all();

  // What ended; everything else is noted and counted here.
  std::vector<Outcome> poll(std::chrono::nanoseconds max_wait);

  double rate_bytes_per_s() const { return throughput_.bytes_per_s(journal_.now_s()); }
  double ttfb_s() const { return throughput_.ttfb_s(); }
  uint64_t in_flight_bytes() const;
  uint32_t running() const { return static_cast<uint32_t>(running_.size()); }

  uint64_t bytes_fetched() const { return bytes_fetched_; }
  uint64_t chunk_bytes(uint32_t chunk) const {
    return chunk < chunk_bytes_.size() ? chunk_bytes_[chunk] : 0;
  }
  uint32_t requests() const { return requests_; }
  uint32_t retries() const { return retries_; }
  uint32_t failures() const { return failures_; }

 private:
  struct Running {
    Want want;
    std::string name;
    uint64_t expected_bytes = 0, received_bytes = 0;
    bool in_body = false;
  };
  void note(std::string_view what, const Running& running, const DownloadEvent& event);
  void count(const Running& running, uint64_t new_bytes);
  void leave_body(Running& running, double time_s);
  std::optional<Outcome> take(DownloadEvent& event);

  Downloader& downloader_;
  const Journal& journal_;
  ThroughputEstimator throughput_;
  std::map<DownloadId, Running> running_;
  std::vector<uint64_t> chunk_bytes_;
  uint64_t bytes_fetched_ = 0;
  uint32_t requests_ = 0, retries_ = 0, failures_ = 0;
};

}  // namespace kvcast::player
