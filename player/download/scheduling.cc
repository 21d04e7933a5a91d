#include "player/download/downloader_state.h"

#include <algorithm>
#include <utility>

namespace kvcast::player {

using manifests::ErrorKind;

DownloadEvent& Downloader::State::report(const DownloadTask& task, DownloadEvent::Kind kind,
                                         int64_t time_ns) {
  DownloadEvent& event = events.emplace_back();
  event.kind = kind;
  event.id = task.id;
  event.name = task.request.name;
  event.time_ns = time_ns;
  event.attempt = task.attempts;
  if (task.base) event.url = task.url();
  return event;
}

std::optional<BaseSet::Choice> Downloader::State::choose(const DownloadTask& task, int64_t now) {
  std::vector<size_t> avoided = task.refused;
  avoided.insert(avoided.end(), task.suspects.begin(), task.suspects.end());
  if (auto choice = task.bases->choose(avoided, now, random)) return choice;
  return task.bases->choose(task.refused, now, random);
}

DownloadTask* Downloader::State::next_ready(int64_t now) {
  DownloadTask* best = nullptr;
  for (auto& [id, task] : tasks) {
    if (!task.waiting() || task.ready_ns > now) continue;
    if (best == nullptr || task.request.priority < best->request.priority) best = &task;
  }
  return best;
}

bool Downloader::State::start_ready(int64_t now) {
  bool started = false;
  while (transfers.size() < params.max_parallel) {
    DownloadTask* task = next_ready(now);
    if (task == nullptr) break;
    if (!admit(*task, now)) continue;
    start_attempt(*task, now);
    started = true;
  }
  return started;
}

// Whether the attempt may start now; otherwise it has been put off, or the download has failed.
bool Downloader::State::admit(DownloadTask& task, int64_t now) {
  if (task.base && task.bases->at(*task.base).closed_until_ns <= now) return true;
  const auto choice = choose(task, now);
  if (!choice) {
    const bool none = task.bases->size() == 0;
    fail(task, none ? ErrorKind::kUsage : ErrorKind::kIo,
         none ? "no base URL is known" : "no base URL is left", 0, now);
    return false;
  }
  task.base = choice->base;
  task.ready_ns = choice->earliest_ns;
  return choice->earliest_ns <= now;
}

void Downloader::State::start_attempt(DownloadTask& task, int64_t now) {
  TransferRequest request = task.assembly.ask(task.url(), *task.base);
  request.connect_limit = params.connect_limit;
  request.first_byte_limit = params.first_byte_limit;
  request.stall_limit = params.stall_limit;
  // Past caches that may hold the damaged copy.
  if (task.corrupt > 0) request.headers.emplace_back("Cache-Control: no-cache");
  ++task.attempts;
  task.headers = {};
  task.body_bytes = 0;
  task.transfer = transport.start(std::move(request));
  transfers.emplace(task.transfer, task.id);
  DownloadEvent& event = report(task, DownloadEvent::Kind::kStarted, now);
  event.offset = task.assembly.offset();
  event.reason = task.reason;
}

int64_t Downloader::State::next_ready_ns(int64_t latest) const {
  if (transfers.size() >= params.max_parallel) return latest;
  for (const auto& [id, task] : tasks) {
    if (task.waiting()) latest = std::min(latest, task.ready_ns);
  }
  return latest;
}

}  // namespace kvcast::player
