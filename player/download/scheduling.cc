#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "player/download/downloader_state.h"

namespace kvcast::player {
namespace {

constexpr uint64_t kMostParkedBytes = 64u << 20;
constexpr double kUsualTimes = 4;  // of waits for first bytes: longer is not usual

}  // namespace

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

DownloadEvent& Downloader::State::report(const DownloadTask& task, const Attempt& attempt,
                                         DownloadEvent::Kind kind, int64_t time_ns) {
  DownloadEvent& event = report(task, kind, time_ns);
  event.attempt = attempt.number;
  event.url = task.url(attempt.base);
  return event;
}

Downloader::State::Host& Downloader::State::host(const DownloadTask& task, size_t base) {
  return hosts[task.bases->at(base).host];
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
    task->first = start_attempt(*task, *task->base,
                                task->request.object ? task->assembly.size() : 0, false, now);
    DownloadEvent& event = report(*task, *task->first, DownloadEvent::Kind::kStarted, now);
    event.offset = task->first->offset;
    event.reason = task->reason;
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

Attempt Downloader::State::start_attempt(DownloadTask& task, size_t base, uint64_t offset,
                                         bool fresh, int64_t now) {
  TransferRequest request = task.assembly.ask(task.url(base), base, offset);
  const std::string& name = task.bases->at(base).host;
  request.fresh_connection = fresh;
  request.post = task.request.post;
  request.connect_limit = limit(params.connect_limit, task, name, now);
  request.first_byte_limit = limit(params.first_byte_limit, task, name, now);
  request.stall_limit = limit(params.stall_limit, task, name, now);
  // Past caches that may hold the damaged copy.
  if (task.corrupt > 0) request.headers.emplace_back("Cache-Control: no-cache");
  describe(task, now, request);
  Attempt attempt;
  attempt.number = ++task.attempts;
  attempt.base = base;
  attempt.offset = offset;
  attempt.started_ns = attempt.last_ns = now;
  attempt.transfer = transport.start(std::move(request));
  transfers.emplace(attempt.transfer, task.id);
  return attempt;
}

void Downloader::State::describe(const DownloadTask& task, int64_t now,
                                 TransferRequest& request) const {
  CmcdRequest about;
  about.type = task.request.type;
  about.level = task.request.level;
  about.rate_bytes_per_s = rate_bytes_per_s;
  about.urgent = task.request.priority == Priority::kUrgent;
  if (deadline_ns) about.deadline_ms = static_cast<double>(*deadline_ns - now) * 1e-6;
  for (std::string& header : cmcd_headers(params.cmcd, about)) {
    request.headers.push_back(std::move(header));
  }
}

// A server that hangs must not use up the time in which another attempt could succeed.
std::chrono::milliseconds Downloader::State::limit(std::chrono::milliseconds configured,
                                                   const DownloadTask& task,
                                                   const std::string& name, int64_t now) {
  if (!deadline_ns || *deadline_ns <= now) return configured;
  const double usual_ms = 1e3 * hosts[name].ttfb.spread().quantile(0.95);
  const double share_ms =
      params.limit_deadline_share * 1e-6 * static_cast<double>(*deadline_ns - now);
  const double least_ms =
      std::max(static_cast<double>(params.limit_least.count()), kUsualTimes * usual_ms) *
      static_cast<double>(1ull << std::min(task.fruitless, 20u));
  const auto scaled = std::chrono::milliseconds(static_cast<int64_t>(std::max(share_ms, least_ms)));
  return std::min(configured, scaled);
}

void Downloader::State::park(DownloadTask& task) {
  stop_all(task);
  if (!task.request.object || task.assembly.size() == 0 || task.corrupt > 0) return;
  parked.push_back({task.request.object->digest, std::move(task.assembly)});
  uint64_t bytes = 0;
  for (const Parked& each : parked) bytes += each.assembly.size();
  for (; bytes > kMostParkedBytes; parked.pop_front()) bytes -= parked.front().assembly.size();
}

// Its bases are numbered as before, since set_bases drops what is parked.
void Downloader::State::unpark(DownloadTask& task) {
  const auto found = std::find_if(parked.begin(), parked.end(), [&](const Parked& each) {
    return each.digest == task.request.object->digest;
  });
  if (found == parked.end()) return;
  task.assembly = std::move(found->assembly);
  task.furthest = task.assembly.size();
  task.reason = "resume of a cancelled download";
  parked.erase(found);
}

// When nothing more is to be waited for: the promise cannot be kept any more, and there is no sign
// that waiting helps, or nobody wants what comes so late.
int64_t Downloader::State::give_up_ns() const {
  if (!deadline_ns || tasks.empty()) return INT64_MAX;
  if (dead) return *deadline_ns;
  const int64_t last_ns = params.late_limit ? *deadline_ns + to_ns(*params.late_limit) : INT64_MAX;
  if (paused) return last_ns;
  return std::min(std::max(*deadline_ns, alive_ns) + to_ns(params.patience), last_ns);
}

void Downloader::State::give_up_if_dead(int64_t now) {
  if (now < give_up_ns()) return;
  const int64_t quiet_ns = now - std::max(*deadline_ns, alive_ns);
  const std::string why =
      dead || (!paused && quiet_ns >= to_ns(params.patience))
          ? fmt::format("the deadline has passed, and nothing has arrived for {} ms",
                        quiet_ns / 1'000'000)
          : fmt::format("the deadline passed {} ms ago, which is the limit",
                        (now - *deadline_ns) / 1'000'000);
  dead = true;
  while (!tasks.empty()) {
    DownloadTask& task = tasks.begin()->second;
    stop_all(task);
    fail(task, ErrorKind::kPromise, why, 0, now);
  }
}

int64_t Downloader::State::next_ready_ns(int64_t latest) const {
  if (transfers.size() >= params.max_parallel) return latest;
  for (const auto& [id, task] : tasks) {
    if (task.waiting()) latest = std::min(latest, task.ready_ns);
  }
  return latest;
}

}  // namespace kvcast::player
