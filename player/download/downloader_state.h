// The inside of a Downloader: its tasks, and what moves them. scheduling.cc starts attempts,
// outcomes.cc deals with what becomes of them, hedging.cc races a second attempt against one that
// hangs, downloader.cc is the face. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "manifests/result.h"
#include "player/download.h"
#include "player/download/assembly.h"
#include "player/download/base_set.h"
#include "player/throughput.h"

namespace kvcast::player {

inline int64_t to_ns(std::chrono::milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

// A request under way.
struct Attempt {
  TransferId transfer = 0;
  uint32_t number = 0;  // from 1 within its download
  size_t base = 0;
  uint64_t offset = 0;  // asked from
  int64_t started_ns = 0;
  int64_t last_ns = 0;    // latest sign of life
  bool answered = false;  // its headers came
  ResponseHeaders headers;
  uint64_t body_bytes = 0;

  uint64_t held() const { return Assembly::held(headers, offset, body_bytes); }
};

// Two attempts at once: where both stood when the second began to receive.
struct Race {
  int64_t begin_ns = 0;
  uint64_t first_held = 0;   // of the first attempt
  uint64_t twice_bytes = 0;  // received by both so far
};

// One download. It waits (for a place, or until ready_ns), or attempts of it run.
struct DownloadTask {
  DownloadTask(DownloadId its_id, DownloadRequest its_request)
      : id(its_id),
        request(std::move(its_request)),
        assembly(request.object, request.size_limit_bytes) {}

  DownloadId id;
  DownloadRequest request;
  Assembly assembly;
  BaseSet own_base;  // of a download by URL
  BaseSet* bases = nullptr;
  std::string path;              // below a base's URL
  std::vector<size_t> refused;   // bases that will not do for this download
  std::vector<size_t> suspects;  // bases that served it corrupt
  uint32_t attempts = 0, fruitless = 0, corrupt = 0, hedges = 0;
  uint64_t furthest = 0;                 // most bytes ever held
  std::optional<size_t> base;            // of the next attempt
  std::string reason = "first attempt";  // of the next attempt
  int64_t ready_ns = 0;                  // not to start before
  std::optional<Attempt> first, second;  // second: the hedge
  std::optional<Race> race;

  bool waiting() const { return !first; }
  std::string url(size_t at) const { return bases->at(at).url + path; }
  std::string url() const { return url(*base); }
};

struct Downloader::State {
  State(Transport& its_transport, DownloaderParams its_params)
      : transport(its_transport), params(std::move(its_params)), random(params.seed) {}

  // What is known of a host's waits, for hedging.
  struct Host {
    LatencyEstimator ttfb, gap;
  };

  Transport& transport;
  DownloaderParams params;
  std::mt19937_64 random;
  std::optional<int64_t> deadline_ns;
  BaseSet bases;
  std::map<DownloadId, DownloadTask> tasks;  // by id: the order given
  std::map<TransferId, DownloadId> transfers;
  std::map<std::string, Host> hosts;
  std::vector<DownloadEvent> events;
  DownloadId last_id = 0;
  double rate_bytes_per_s = 0;  // as told, for CMCD
  int64_t alive_ns = 0;         // latest byte of any body, or the end of idleness
  bool dead = false;            // given up, and no answer since
  bool paused = false;
  void see_bytes(int64_t time_ns) {
    alive_ns = std::max(alive_ns, time_ns);
    dead = false;
  }
  uint64_t object_bytes = 0, twice_bytes = 0;  // asked for; of them, received twice
  struct Parked {
    manifests::Digest digest;
    Assembly assembly;
  };
  std::deque<Parked> parked;  // what cancelled downloads had; oldest first

  // scheduling.cc
  DownloadEvent& report(const DownloadTask& task, DownloadEvent::Kind kind, int64_t time_ns);
  DownloadEvent& report(const DownloadTask& task, const Attempt& attempt, DownloadEvent::Kind kind,
                        int64_t time_ns);
  std::optional<BaseSet::Choice> choose(const DownloadTask& task, int64_t now);
  DownloadTask* next_ready(int64_t now);
  bool start_ready(int64_t now);
  bool admit(DownloadTask& task, int64_t now);
  Attempt start_attempt(DownloadTask& task, size_t base, uint64_t offset, bool fresh, int64_t now);
  std::chrono::milliseconds limit(std::chrono::milliseconds configured, const DownloadTask& task,
                                  const std::string& host, int64_t now);
  int64_t next_ready_ns(int64_t latest) const;
  void describe(const DownloadTask& task, int64_t now, TransferRequest& request) const;
  Host& host(const DownloadTask& task, size_t base);
  void park(DownloadTask& task);
  void unpark(DownloadTask& task);
  int64_t give_up_ns() const;
  void give_up_if_dead(int64_t now);

  // outcomes.cc
  void handle(std::vector<TransferEvent> transfer_events);
  void on_headers(DownloadTask& task, Attempt& attempt, const TransferEvent& event);
  void on_data(DownloadTask& task, Attempt& attempt, const TransferEvent& event);
  void on_done(DownloadTask& task, TransferEvent event);
  void on_failed(DownloadTask& task, TransferEvent event);
  void complete(DownloadTask& task, int64_t time_ns);
  void on_corrupt(DownloadTask& task, const Attempt& attempt, const std::string& fault,
                  int64_t time_ns);
  void on_failure(DownloadTask& task, const Attempt& attempt, const TransferFailure& failure,
                  int64_t time_ns);
  void punish(DownloadTask& task, size_t base, const TransferFailure& failure, bool progress,
              int64_t time_ns);
  void retry(DownloadTask& task, const Attempt& attempt, const std::string& what, bool stay,
             int http_status, int64_t time_ns);
  void fail(DownloadTask& task, manifests::ErrorKind kind, const std::string& what, int http_status,
            int64_t time_ns);
  Attempt leave_attempt(DownloadTask& task, TransferId transfer);
  void stop_all(DownloadTask& task);

  // hedging.cc
  void hedge_due(int64_t now);
  int64_t hedge_due_ns(const DownloadTask& task) const;
  int64_t next_hedge_ns(int64_t latest) const;
  bool hedge_helps(const DownloadTask& task, int64_t now) const;
  void start_hedge(DownloadTask& task, int64_t now);
  void run_race(DownloadTask& task, uint64_t twice_before, int64_t now);
  void drop(DownloadTask& task, bool second, const std::string& why, int64_t now);
  uint64_t hedge_budget() const;
};

}  // namespace kvcast::player
