#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "manifests/layout.h"
#include "player/download.h"
#include "player/download/assembly.h"
#include "player/download/backoff.h"
#include "player/download/base_set.h"
#include "player/transport/url.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Status;

// However much each attempt brings: a server that breaks off this often is no source.
constexpr uint32_t kMaxAttemptsInAll = 256;

int64_t to_ns(std::chrono::milliseconds time) {
  return std::chrono::nanoseconds(time).count();
}

struct Task {
  Task(DownloadId its_id, DownloadRequest its_request)
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

}  // namespace

struct Downloader::State {
  State(Transport& its_transport, DownloaderParams its_params)
      : transport(its_transport), params(its_params), random(its_params.seed) {}

  Transport& transport;
  DownloaderParams params;
  std::mt19937_64 random;
  std::optional<int64_t> deadline_ns;
  BaseSet bases;
  std::map<DownloadId, Task> tasks;  // by id: the order given
  std::map<TransferId, DownloadId> transfers;
  std::vector<DownloadEvent> events;
  DownloadId last_id = 0;

  DownloadEvent& report(const Task& task, DownloadEvent::Kind kind, int64_t time_ns);
  std::optional<BaseSet::Choice> choose(const Task& task, int64_t now);
  Task* next_ready(int64_t now);
  bool start_ready(int64_t now);
  bool admit(Task& task, int64_t now);
  void start_attempt(Task& task, int64_t now);
  int64_t next_ready_ns(int64_t latest) const;
  void handle(std::vector<TransferEvent> transfer_events);
  void on_headers(Task& task, const TransferEvent& event);
  void on_data(Task& task, const TransferEvent& event);
  void on_done(Task& task, TransferEvent event);
  void on_failed(Task& task, TransferEvent event);
  void complete(Task& task, int64_t time_ns);
  void on_corrupt(Task& task, const std::string& fault, int64_t time_ns);
  void on_failure(Task& task, const TransferFailure& failure, int64_t time_ns);
  void retry(Task& task, const std::string& what, bool stay, int http_status, int64_t time_ns);
  void fail(Task& task, ErrorKind kind, const std::string& what, int http_status, int64_t time_ns);
  void leave_attempt(Task& task);
};

DownloadEvent& Downloader::State::report(const Task& task, DownloadEvent::Kind kind,
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

std::optional<BaseSet::Choice> Downloader::State::choose(const Task& task, int64_t now) {
  std::vector<size_t> avoided = task.refused;
  avoided.insert(avoided.end(), task.suspects.begin(), task.suspects.end());
  if (auto choice = task.bases->choose(avoided, now, random)) return choice;
  return task.bases->choose(task.refused, now, random);
}

Task* Downloader::State::next_ready(int64_t now) {
  Task* best = nullptr;
  for (auto& [id, task] : tasks) {
    if (!task.waiting() || task.ready_ns > now) continue;
    if (best == nullptr || task.request.priority < best->request.priority) best = &task;
  }
  return best;
}

bool Downloader::State::start_ready(int64_t now) {
  bool started = false;
  while (transfers.size() < params.max_parallel) {
    Task* task = next_ready(now);
    if (task == nullptr) break;
    if (!admit(*task, now)) continue;
    start_attempt(*task, now);
    started = true;
  }
  return started;
}

// Whether the attempt may start now; otherwise it has been put off, or the download has failed.
bool Downloader::State::admit(Task& task, int64_t now) {
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

void Downloader::State::start_attempt(Task& task, int64_t now) {
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

void Downloader::State::handle(std::vector<TransferEvent> transfer_events) {
  for (TransferEvent& event : transfer_events) {
    // Those of an attempt given up on while this batch was handled are no longer known.
    const auto found = transfers.find(event.id);
    if (found == transfers.end()) continue;
    Task& task = tasks.at(found->second);
    switch (event.kind) {
      case TransferEvent::Kind::kHeaders:
        on_headers(task, event);
        break;
      case TransferEvent::Kind::kData:
        on_data(task, event);
        break;
      case TransferEvent::Kind::kDone:
        on_done(task, std::move(event));
        break;
      case TransferEvent::Kind::kFailed:
        on_failed(task, std::move(event));
        break;
    }
  }
}

void Downloader::State::on_headers(Task& task, const TransferEvent& event) {
  task.headers = event.headers;
  report(task, DownloadEvent::Kind::kHeaders, event.time_ns).headers = event.headers;
  const auto misfit = task.assembly.check(event.headers);
  if (!misfit) return;
  transport.cancel(task.transfer);
  leave_attempt(task);
  if (misfit->wrong_object) {
    task.suspects.push_back(*task.base);
    return on_corrupt(task, misfit->message, event.time_ns);
  }
  task.assembly.clear();
  TransferFailure failure;
  failure.message = misfit->message;
  failure.retryable = true;
  on_failure(task, failure, event.time_ns);
}

void Downloader::State::on_data(Task& task, const TransferEvent& event) {
  task.body_bytes += event.new_bytes;
  DownloadEvent& data = report(task, DownloadEvent::Kind::kData, event.time_ns);
  data.new_bytes = event.new_bytes;
  data.received_bytes = task.assembly.held(task.headers, task.body_bytes);
}

void Downloader::State::on_done(Task& task, TransferEvent event) {
  leave_attempt(task);
  task.assembly.take(event.headers, std::move(event.body));
  complete(task, event.time_ns);
}

void Downloader::State::on_failed(Task& task, TransferEvent event) {
  leave_attempt(task);
  if (task.request.object && event.failure.too_long) {
    task.suspects.push_back(*task.base);
    return on_corrupt(task, event.failure.message, event.time_ns);
  }
  task.assembly.take(event.headers, std::move(event.body));
  if (task.assembly.full()) return complete(task, event.time_ns);
  if (event.failure.http_status == 416 && task.assembly.offset() > 0) {
    // The range is not what that server holds: start over, rather than refuse it.
    task.assembly.clear();
    event.failure.retryable = true;
  }
  on_failure(task, event.failure, event.time_ns);
}

void Downloader::State::complete(Task& task, int64_t time_ns) {
  if (auto fault = task.assembly.find_fault()) {
    task.suspects.insert(task.suspects.end(), task.assembly.sources().begin(),
                         task.assembly.sources().end());
    return on_corrupt(task, *fault, time_ns);
  }
  DownloadEvent& event = report(task, DownloadEvent::Kind::kComplete, time_ns);
  event.received_bytes = task.assembly.size();
  event.bytes = task.assembly.release();
  event.verified = task.request.object.has_value();
  tasks.erase(task.id);
}

void Downloader::State::on_corrupt(Task& task, const std::string& fault, int64_t time_ns) {
  const std::string what = fmt::format("corrupt: {} is named {}, but {}", task.url(),
                                       task.request.object->digest.hex(), fault);
  task.assembly.clear();
  task.furthest = 0;
  if (++task.corrupt > 1) return fail(task, ErrorKind::kCorrupt, what + ", again", 0, time_ns);
  retry(task, what, false, 0, time_ns);
  events.back().corrupt = true;
}

void Downloader::State::on_failure(Task& task, const TransferFailure& failure, int64_t time_ns) {
  const size_t base = *task.base;
  const bool progress = task.assembly.size() > task.furthest;
  task.furthest = std::max(task.furthest, task.assembly.size());
  task.fruitless = progress ? 0 : task.fruitless + 1;
  if (failure.retryable && failure.retry_after && *failure.retry_after <= params.retry_after_most) {
    task.bases->close(base, time_ns + to_ns(*failure.retry_after));
  } else if (!failure.retryable || failure.retry_after) {
    task.refused.push_back(base);
  } else if (!progress && failure.http_status != 416) {
    task.bases->exclude(base, time_ns + to_ns(params.exclusion));
  }
  if (task.fruitless >= params.max_attempts || task.attempts >= kMaxAttemptsInAll) {
    return fail(task, ErrorKind::kIo, failure.message, failure.http_status, time_ns);
  }
  retry(task, failure.message, progress, failure.http_status, time_ns);
}

void Downloader::State::retry(Task& task, const std::string& what, bool stay, int http_status,
                              int64_t time_ns) {
  const std::string failed_url = task.url();
  const size_t failed_base = *task.base;
  const auto refused = std::find(task.refused.begin(), task.refused.end(), failed_base);
  std::optional<BaseSet::Choice> choice;
  if (stay && refused == task.refused.end() && task.bases->favours(failed_base, time_ns)) {
    choice = BaseSet::Choice{failed_base, true, time_ns};
  } else {
    choice = choose(task, time_ns);
  }
  if (!choice) return fail(task, ErrorKind::kIo, what, http_status, time_ns);
  const uint32_t failures = std::max(task.fruitless, 1u);
  task.ready_ns = time_ns;
  if (!choice->favoured) {
    const int64_t pause = pause_ns(params, failures, deadline_ns, time_ns, random);
    task.ready_ns = std::max(choice->earliest_ns, time_ns + pause);
  }
  const bool other = choice->base != failed_base;
  task.reason = task.assembly.size() > 0 ? "resume" : "start over";
  if (task.corrupt > 0) task.reason = "refetch";
  if (other) task.reason += " from another base";
  DownloadEvent& event = report(task, DownloadEvent::Kind::kRetry, time_ns);
  event.reason = fmt::format("{}; next: {}", what, task.reason);
  event.retry_at_ns = task.ready_ns;
  event.http_status = http_status;
  event.received_bytes = task.assembly.size();
  task.base = choice->base;
}

void Downloader::State::fail(Task& task, ErrorKind kind, const std::string& what, int http_status,
                             int64_t time_ns) {
  DownloadEvent& event = report(task, DownloadEvent::Kind::kFailed, time_ns);
  event.reason = what;
  event.http_status = http_status;
  event.received_bytes = task.assembly.size();
  event.corrupt = kind == ErrorKind::kCorrupt;
  const std::string where = task.base ? task.url() : task.path;
  const char* way_out = kind == ErrorKind::kCorrupt ? "publish it again or remove the bad copy"
                                                    : "check that the store is reachable and whole";
  event.error = Error{kind, fmt::format("{}: {}: {} ({} attempts); {}", task.request.name, where,
                                        what, task.attempts, way_out)};
  tasks.erase(task.id);
}

void Downloader::State::leave_attempt(Task& task) {
  transfers.erase(task.transfer);
  task.transfer = 0;
}

Downloader::Downloader(Transport& transport, DownloaderParams params)
    : state_(std::make_unique<State>(transport, params)) {
  state_->params.max_parallel = std::max(params.max_parallel, 1u);
}

Downloader::~Downloader() {
  for (const auto& [transfer, id] : state_->transfers) state_->transport.cancel(transfer);
}

Status Downloader::set_bases(const std::string& manifest_url,
                             std::span<const manifests::BaseUrl> bases) {
  std::vector<Base> resolved;
  const manifests::BaseUrl parent{"../", 1, 1};
  for (const manifests::BaseUrl& base : bases.empty() ? std::span(&parent, 1) : bases) {
    auto url = resolve_url(manifest_url, base.url);
    if (!url) return url.error();
    if (!url->ends_with('/')) *url += '/';
    resolved.push_back({.url = *std::move(url), .priority = base.priority, .weight = base.weight});
  }
  state_->bases.assign(std::move(resolved));
  return {};
}

void Downloader::set_deadline(std::optional<int64_t> deadline_ns) {
  state_->deadline_ns = deadline_ns;
}

DownloadId Downloader::start(DownloadRequest request) {
  const DownloadId id = ++state_->last_id;
  Task& task = state_->tasks.try_emplace(id, id, std::move(request)).first->second;
  if (task.request.object) {
    task.bases = &state_->bases;
    task.path = manifests::object_path_in_tenant(task.request.object->digest);
  } else {
    task.own_base.assign({Base{.url = task.request.url}});
    task.bases = &task.own_base;
  }
  return id;
}

void Downloader::cancel(DownloadId id) {
  State& state = *state_;
  const auto found = state.tasks.find(id);
  if (found == state.tasks.end()) return;
  if (!found->second.waiting()) {
    state.transport.cancel(found->second.transfer);
    state.leave_attempt(found->second);
  }
  state.tasks.erase(found);
}

std::vector<DownloadEvent> Downloader::poll(std::chrono::nanoseconds max_wait) {
  State& state = *state_;
  const int64_t begin = state.transport.now_ns();
  const int64_t until = begin + std::clamp<int64_t>(max_wait.count(), 0, INT64_MAX - begin);
  for (int64_t now = begin;; now = state.transport.now_ns()) {
    state.start_ready(now);
    const int64_t wake = state.events.empty() ? state.next_ready_ns(until) : now;
    auto happened =
        state.transport.poll(std::chrono::nanoseconds(std::max<int64_t>(wake - now, 0)));
    const bool quiet = happened.empty();
    state.handle(std::move(happened));
    now = state.transport.now_ns();
    // A freed place is filled at once, not when the caller comes back.
    if (state.start_ready(now)) state.handle(state.transport.poll(std::chrono::nanoseconds(0)));
    const bool woken = quiet && now < wake;
    if (!state.events.empty() || woken || now >= until) break;
  }
  return std::exchange(state.events, {});
}

size_t Downloader::running() const {
  return state_->transfers.size();
}

size_t Downloader::queued() const {
  return state_->tasks.size() - state_->transfers.size();
}

}  // namespace kvcast::player
