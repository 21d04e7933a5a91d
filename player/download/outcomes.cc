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

void Downloader::State::on_headers(DownloadTask& task, const TransferEvent& event) {
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

void Downloader::State::on_data(DownloadTask& task, const TransferEvent& event) {
  task.body_bytes += event.new_bytes;
  DownloadEvent& data = report(task, DownloadEvent::Kind::kData, event.time_ns);
  data.new_bytes = event.new_bytes;
  data.received_bytes = task.assembly.held(task.headers, task.body_bytes);
}

void Downloader::State::on_done(DownloadTask& task, TransferEvent event) {
  leave_attempt(task);
  task.assembly.take(event.headers, std::move(event.body));
  complete(task, event.time_ns);
}

void Downloader::State::on_failed(DownloadTask& task, TransferEvent event) {
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

void Downloader::State::complete(DownloadTask& task, int64_t time_ns) {
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

void Downloader::State::on_corrupt(DownloadTask& task, const std::string& fault, int64_t time_ns) {
  const std::string what = fmt::format("corrupt: {} is named {}, but {}", task.url(),
                                       task.request.object->digest.hex(), fault);
  task.assembly.clear();
  task.furthest = 0;
  if (++task.corrupt > 1) return fail(task, ErrorKind::kCorrupt, what + ", again", 0, time_ns);
  retry(task, what, false, 0, time_ns);
  events.back().corrupt = true;
}

void Downloader::State::on_failure(DownloadTask& task, const TransferFailure& failure,
                                   int64_t time_ns) {
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

void Downloader::State::retry(DownloadTask& task, const std::string& what, bool stay,
                              int http_status, int64_t time_ns) {
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

void Downloader::State::leave_attempt(DownloadTask& task) {
  transfers.erase(task.transfer);
  task.transfer = 0;
}

}  // namespace kvcast::player
