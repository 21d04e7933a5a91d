// The inside of a Downloader: its tasks, and what moves them. scheduling.cc starts attempts,
// outcomes.cc deals with what becomes of them, downloader.cc is the face. One thread.
#pragma once

#include <chrono>
#include <cstdint>
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

namespace kvcast::player {

inline int64_t to_ns(std::chrono::milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

// One download. It waits (for a place, or until ready_ns), or an attempt of it runs.
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
  uint32_t attempts = 0, fruitless = 0, corrupt = 0;
  uint64_t furthest = 0;                 // most bytes ever held
  std::optional<size_t> base;            // of the attempt that runs, or of the next one
  std::string reason = "first attempt";  // of the next attempt
  TransferId transfer = 0;               // 0: waiting
  int64_t ready_ns = 0;                  // not to start before
  ResponseHeaders headers;               // of the attempt that runs
  uint64_t body_bytes = 0;

  bool waiting() const { return transfer == 0; }
  std::string url() const { return bases->at(*base).url + path; }
};

struct Downloader::State {
  State(Transport& its_transport, DownloaderParams its_params)
      : transport(its_transport), params(its_params), random(its_params.seed) {}

  Transport& transport;
  DownloaderParams params;
  std::mt19937_64 random;
  std::optional<int64_t> deadline_ns;
  BaseSet bases;
  std::map<DownloadId, DownloadTask> tasks;  // by id: the order given
  std::map<TransferId, DownloadId> transfers;
  std::vector<DownloadEvent> events;
  DownloadId last_id = 0;

  DownloadEvent& report(const DownloadTask& task, DownloadEvent::Kind kind, int64_t time_ns);
  std::optional<BaseSet::Choice> choose(const DownloadTask& task, int64_t now);
  DownloadTask* next_ready(int64_t now);
  bool start_ready(int64_t now);
  bool admit(DownloadTask& task, int64_t now);
  void start_attempt(DownloadTask& task, int64_t now);
  int64_t next_ready_ns(int64_t latest) const;
  void handle(std::vector<TransferEvent> transfer_events);
  void on_headers(DownloadTask& task, const TransferEvent& event);
  void on_data(DownloadTask& task, const TransferEvent& event);
  void on_done(DownloadTask& task, TransferEvent event);
  void on_failed(DownloadTask& task, TransferEvent event);
  void complete(DownloadTask& task, int64_t time_ns);
  void on_corrupt(DownloadTask& task, const std::string& fault, int64_t time_ns);
  void on_failure(DownloadTask& task, const TransferFailure& failure, int64_t time_ns);
  void retry(DownloadTask& task, const std::string& what, bool stay, int http_status,
             int64_t time_ns);
  void fail(DownloadTask& task, manifests::ErrorKind kind, const std::string& what, int http_status,
            int64_t time_ns);
  void leave_attempt(DownloadTask& task);
};

}  // namespace kvcast::player
