#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "player/download/backoff.h"
#include "player/download/downloader_state.h"

namespace kvcast::player {
namespace {

// However much each attempt brings: a server that breaks off this often is no source.
constexpr uint32_t kMaxAttemptsInAll = 256;

}  // namespace

using manifests::Error;
using manifests::ErrorKind;

void Downloader::State::handle(std::vector<TransferEvent> transfer_events) {
  for (TransferEvent& event : transfer_events) {
    // Those of an attempt given up on while this batch was handled are no longer known.
    const auto found = transfers.find(event.id);
    if (found == transfers.end()) continue;
    DownloadTask& task = tasks.at(found->second);
    Attempt& attempt =
        task.second && task.second->transfer == event.id ? *task.second : *task.first;
    switch (event.kind) {
      case TransferEvent::Kind::kHeaders:
        on_headers(task, attempt, event);
        break;
      case TransferEvent::Kind::kData:
        on_data(task, attempt, event);
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

void Downloader::State::on_headers(DownloadTask& task, Attempt& attempt,
                                   const TransferEvent& event) {
  attempt.headers = event.headers;
  attempt.answered = true;
  attempt.last_ns = std::max(attempt.last_ns, event.time_ns);
  dead = false;
  host(task, attempt.base).ttfb.add(static_cast<double>(event.headers.ttfb_ns) * 1e-9);
  report(task, attempt, DownloadEvent::Kind::kHeaders, event.time_ns).headers = event.headers;
  const auto misfit = task.assembly.check(event.headers, attempt.offset);
  if (!misfit) {
    if (!task.second) return;
    const bool second = &attempt == &*task.second;
    const Attempt& other = second ? *task.first : *task.second;
    if (!other.answered) return drop(task, !second, "the other one answered first", event.time_ns);
    task.race = Race{event.time_ns, task.first->held(), 0};
    return;
  }
  transport.cancel(attempt.transfer);
  const Attempt ended = leave_attempt(task, attempt.transfer);
  if (misfit->wrong_object) {
    task.suspects.push_back(ended.base);
    return on_corrupt(task, ended, misfit->message, event.time_ns);
  }
  if (!task.first) task.assembly.clear();
  TransferFailure failure;
  failure.message = misfit->message;
  failure.retryable = true;
  on_failure(task, ended, failure, event.time_ns);
}

void Downloader::State::on_data(DownloadTask& task, Attempt& attempt, const TransferEvent& event) {
  if (attempt.body_bytes > 0) {
    const double gap_s = static_cast<double>(event.time_ns - attempt.last_ns) * 1e-9;
    if (gap_s > 1e-3) host(task, attempt.base).gap.add(gap_s);
  }
  attempt.body_bytes += event.new_bytes;
  attempt.last_ns = std::max(attempt.last_ns, event.time_ns);
  see_bytes(event.time_ns);
  DownloadEvent& data = report(task, attempt, DownloadEvent::Kind::kData, event.time_ns);
  data.new_bytes = event.new_bytes;
  data.received_bytes = task.first->held();
  if (task.second) data.received_bytes = std::max(data.received_bytes, task.second->held());
  if (task.race) run_race(task, task.race->twice_bytes, event.time_ns);
}

void Downloader::State::on_done(DownloadTask& task, TransferEvent event) {
  see_bytes(event.time_ns);
  // A hedge asked only for what its rival did not have yet.
  if (task.second && task.request.object) {
    drop(task, task.first->transfer == event.id, "the other one is complete", event.time_ns);
  }
  const Attempt ended = leave_attempt(task, event.id);
  stop_all(task);
  task.assembly.take(event.headers, ended.offset, ended.base, std::move(event.body));
  task.base = ended.base;
  complete(task, event.time_ns);
}

void Downloader::State::on_failed(DownloadTask& task, TransferEvent event) {
  const Attempt ended = leave_attempt(task, event.id);
  if (event.failure.http_status > 0) dead = false;
  if (task.request.object && event.failure.too_long) {
    task.suspects.push_back(ended.base);
    return on_corrupt(task, ended, event.failure.message, event.time_ns);
  }
  task.assembly.take(event.headers, ended.offset, ended.base, std::move(event.body));
  if (task.assembly.full()) {
    stop_all(task);
    task.base = ended.base;
    return complete(task, event.time_ns);
  }
  if (event.failure.http_status == 416 && ended.offset > 0) {
    // The range is not what that server holds: start over, rather than refuse it.
    if (!task.first) task.assembly.clear();
    event.failure.retryable = true;
  }
  on_failure(task, ended, event.failure, event.time_ns);
}

void Downloader::State::complete(DownloadTask& task, int64_t time_ns) {
  if (auto fault = task.assembly.find_fault()) {
    task.suspects.insert(task.suspects.end(), task.assembly.sources().begin(),
                         task.assembly.sources().end());
    Attempt last;
    last.number = task.attempts;
    last.base = *task.base;
    return on_corrupt(task, last, *fault, time_ns);
  }
  DownloadEvent& event = report(task, DownloadEvent::Kind::kComplete, time_ns);
  event.received_bytes = task.assembly.size();
  event.bytes = task.assembly.release();
  event.verified = task.request.object.has_value();
  tasks.erase(task.id);
}

void Downloader::State::on_corrupt(DownloadTask& task, const Attempt& attempt,
                                   const std::string& fault, int64_t time_ns) {
  const std::string what = fmt::format("corrupt: {} is named {}, but {}", task.url(attempt.base),
                                       task.request.object->digest.hex(), fault);
  stop_all(task);
  task.assembly.clear();
  task.furthest = 0;
  task.base = attempt.base;
  if (++task.corrupt > 1) return fail(task, ErrorKind::kCorrupt, what + ", again", 0, time_ns);
  retry(task, attempt, what, false, 0, time_ns);
  events.back().corrupt = true;
}

void Downloader::State::punish(DownloadTask& task, size_t base, const TransferFailure& failure,
                               bool progress, int64_t time_ns) {
  if (failure.retryable && failure.retry_after && *failure.retry_after <= params.retry_after_most) {
    task.bases->close(base, time_ns + to_ns(*failure.retry_after));
  } else if (!failure.retryable || failure.retry_after) {
    task.refused.push_back(base);
  } else if (!progress && failure.http_status != 416) {
    task.bases->exclude(base, time_ns + to_ns(params.exclusion));
  }
}

void Downloader::State::on_failure(DownloadTask& task, const Attempt& attempt,
                                   const TransferFailure& failure, int64_t time_ns) {
  const bool progress = task.assembly.size() > task.furthest;
  task.furthest = std::max(task.furthest, task.assembly.size());
  punish(task, attempt.base, failure, progress, time_ns);
  if (task.first) {  // its rival goes on
    DownloadEvent& event = report(task, attempt, DownloadEvent::Kind::kHedgeEnd, time_ns);
    event.reason = fmt::format("attempt {} failed: {}", attempt.number, failure.message);
    event.http_status = failure.http_status;
    event.received_bytes = task.first->held();
    return;
  }
  task.fruitless = progress ? 0 : task.fruitless + 1;
  task.base = attempt.base;
  if (task.request.post) {
    return fail(task, ErrorKind::kIo, failure.message, failure.http_status, time_ns);
  }
  const bool time_left = deadline_ns && time_ns < *deadline_ns;
  if ((task.fruitless >= params.max_attempts && !time_left) || task.attempts >= kMaxAttemptsInAll) {
    const bool late = deadline_ns && !time_left;
    dead = dead || (late && failure.http_status == 0);
    return fail(task, late ? ErrorKind::kPromise : ErrorKind::kIo, failure.message,
                failure.http_status, time_ns);
  }
  retry(task, attempt, failure.message, progress, failure.http_status, time_ns);
}

void Downloader::State::retry(DownloadTask& task, const Attempt& attempt, const std::string& what,
                              bool stay, int http_status, int64_t time_ns) {
  const size_t failed_base = attempt.base;
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
  DownloadEvent& event = report(task, attempt, DownloadEvent::Kind::kRetry, time_ns);
  event.reason = fmt::format("{}; next: {}", what, task.reason);
  event.retry_at_ns = task.ready_ns;
  event.http_status = http_status;
  event.received_bytes = task.assembly.size();
  task.base = choice->base;
}

void Downloader::State::fail(DownloadTask& task, ErrorKind kind, const std::string& what,
                             int http_status, int64_t time_ns) {
  DownloadEvent& event = report(task, DownloadEvent::Kind::kFailed, time_ns);
  event.reason = what;
  event.http_status = http_status;
  event.received_bytes = task.assembly.size();
  event.corrupt = kind == ErrorKind::kCorrupt;
  const std::string where = task.base ? task.url() : task.path;
  const char* way_out = kind == ErrorKind::kCorrupt ? "publish it again or remove the bad copy"
                                                    : "check that the store is reachable and whole";
  event.error = Error{kind, fmt::format("{}: {}: {} (attempts: {}); {}", task.request.name, where,
                                        what, task.attempts, way_out)};
  tasks.erase(task.id);
}

// Forgets the attempt; a hedge that is left alone becomes the first.
Attempt Downloader::State::leave_attempt(DownloadTask& task, TransferId transfer) {
  transfers.erase(transfer);
  task.race.reset();
  std::optional<Attempt> ended;
  if (task.second && task.second->transfer == transfer) {
    ended = std::exchange(task.second, std::nullopt);
  } else {
    ended = std::exchange(task.first, std::exchange(task.second, std::nullopt));
  }
  return *std::move(ended);
}

void Downloader::State::stop_all(DownloadTask& task) {
  while (task.first) {
    std::vector<std::byte> body = transport.stop(task.first->transfer);
    const Attempt ended = leave_attempt(task, task.first->transfer);
    if (task.request.object && ended.answered) {
      task.assembly.take(ended.headers, ended.offset, ended.base, std::move(body));
    }
  }
}

}  // namespace kvcast::player
