#include "player/chaos/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace kvcast::player {
namespace {

constexpr char kFirst[] = "http://store.test/";
constexpr char kSecond[] = "http://b.test/";
constexpr int64_t kStep_ns = 1'000'000;
constexpr double kSlowest_s = 1.5;

TransferFailure failure_of(const char* message, int status = 0, bool retryable = true) {
  TransferFailure failure;
  failure.message = message;
  failure.http_status = status;
  failure.retryable = retryable;
  return failure;
}

int64_t to_ns(double seconds) {
  return static_cast<int64_t>(seconds * 1e9);
}

}  // namespace

ChaosNetwork::ChaosNetwork(const std::map<std::string, std::vector<std::byte>>& files,
                           const Schedule& schedule)
    : files_(files), schedule_(schedule), random_(schedule.seed + 77) {}

bool ChaosNetwork::any(const std::vector<Interval>& intervals) const {
  return std::any_of(intervals.begin(), intervals.end(),
                     [&](const Interval& each) { return each.holds(now_s()); });
}

bool ChaosNetwork::dead() const {
  return schedule_.dead_from_s && now_s() >= *schedule_.dead_from_s;
}

double ChaosNetwork::rate() const {
  if (dead()) return 0;
  double rate = 5e6;
  for (const auto& [from_s, bytes_per_s] : schedule_.rates) {
    if (from_s <= now_s()) rate = bytes_per_s;
  }
  return rate;
}

TransferId ChaosNetwork::start(TransferRequest request) {
  Transfer transfer;
  transfer.base = request.url.starts_with(kSecond) ? 1 : 0;
  transfer.request = std::move(request);
  transfer.start_ns = transfer.last_ns = now_ns_;
  transfer.headers_ns = now_ns_ + to_ns(schedule_.latency_s);
  answer(transfer);
  transfers_.emplace(++last_id_, std::move(transfer));
  return last_id_;
}

// Everything about the answer is decided at once; when it comes, the link decides.
void ChaosNetwork::answer(Transfer& transfer) {
  std::string url = transfer.request.url;
  if (transfer.base == 1) url = kFirst + url.substr(sizeof(kSecond) - 1);
  const auto file = files_.find(url);
  if (file == files_.end()) return refuse(transfer, 404, false);
  const std::vector<std::byte>& bytes = file->second;
  ResponseHeaders& headers = transfer.headers;
  headers.status = 200;
  headers.etag = fmt::format("\"{}\"", url.substr(url.rfind('/') + 1));
  uint64_t first = 0;
  if (transfer.request.range) {
    first = transfer.request.range->first;
    if (first >= bytes.size()) return refuse(transfer, 416, false);
    headers.status = 206;
    headers.range_first = first;
    headers.range_total = bytes.size();
  }
  headers.content_length = bytes.size() - first;
  transfer.body.assign(bytes.begin() + static_cast<ptrdiff_t>(first), bytes.end());
  const bool spared = schedule_.manifest_spared && url.ends_with(".json");
  const double unit = static_cast<double>(random_() >> 11) * 0x1p-53;
  if (!spared && !schedule_.faults.empty() && unit < schedule_.fault_rate) spoil(transfer);
}

void ChaosNetwork::refuse(Transfer& transfer, int status, bool retryable) {
  transfer.refusal = failure_of("an HTTP status", status, retryable);
  transfer.headers.status = status;
}

void ChaosNetwork::spoil(Transfer& transfer) {
  ++faults_;
  const size_t somewhere = random_() % (transfer.body.size() + 1);
  switch (schedule_.faults[random_() % schedule_.faults.size()]) {
    case Fault::kNone:
      break;
    case Fault::kReset:
      transfer.stops_at = somewhere;
      transfer.resets = true;
      break;
    case Fault::kStall:
      transfer.stops_at = somewhere;
      break;
    case Fault::kShort:
      transfer.body.resize(somewhere);
      transfer.headers.content_length.reset();
      break;
    case Fault::kWrongLength:
      transfer.headers.content_length = *transfer.headers.content_length + 1;
      if (transfer.headers.range_total) ++*transfer.headers.range_total;
      break;
    case Fault::kCorrupt:
      if (!transfer.body.empty()) transfer.body[somewhere % transfer.body.size()] ^= std::byte{4};
      break;
    case Fault::kSlowHeaders:
      transfer.headers_ns += to_ns(kSlowest_s * static_cast<double>(random_() % 1000) * 1e-3);
      break;
    case Fault::kStatus404:
      return refuse(transfer, 404, false);
    case Fault::kStatus429:
      refuse(transfer, 429, true);
      transfer.refusal->retry_after = std::chrono::seconds(random_() % 3);
      break;
    case Fault::kStatus500:
      return refuse(transfer, 500, true);
    case Fault::kStatus503:
      return refuse(transfer, 503, true);
  }
}

std::vector<std::byte> ChaosNetwork::stop(TransferId id) {
  auto found = transfers_.extract(id);
  if (found.empty() || !found.mapped().answered) return {};
  found.mapped().body.resize(found.mapped().sent);
  return std::move(found.mapped().body);
}

void ChaosNetwork::fail(TransferId id, Transfer& transfer, TransferFailure failure,
                        std::vector<TransferEvent>& events) {
  TransferEvent event;
  event.id = id;
  event.kind = TransferEvent::Kind::kFailed;
  event.time_ns = now_ns_;
  event.failure = std::move(failure);
  event.headers = transfer.headers;
  if (transfer.answered) {
    transfer.body.resize(transfer.sent);
    event.body = std::move(transfer.body);
  }
  events.push_back(std::move(event));
}

// One transfer in one step. True: it has ended.
bool ChaosNetwork::advance(TransferId id, Transfer& transfer, double bytes,
                           std::vector<TransferEvent>& events) {
  const auto ended = [&](TransferFailure failure) {
    fail(id, transfer, std::move(failure), events);
    return true;
  };
  const auto limit = [](std::chrono::milliseconds time) {
    return std::chrono::nanoseconds(time).count();
  };
  const int64_t allowed =
      limit(transfer.answered ? transfer.request.stall_limit : transfer.request.first_byte_limit);
  if (now_ns_ - transfer.last_ns >= allowed) return ended(failure_of("nothing came in time"));
  if (any(schedule_.killed[transfer.base])) {
    ++faults_;
    return ended(failure_of(transfer.answered ? "connection reset" : "connection refused"));
  }
  if (any(schedule_.vanished[transfer.base]) || dead()) {
    ++faults_;
    return false;
  }
  if (!transfer.answered) {
    if (any(schedule_.nameless[transfer.base])) {
      ++faults_;
      return ended(failure_of("the name does not resolve"));
    }
    if (now_ns_ < transfer.headers_ns) return false;
    if (transfer.refusal) return ended(*transfer.refusal);
    transfer.answered = true;
    transfer.last_ns = now_ns_;
    transfer.headers.ttfb_ns = now_ns_ - transfer.start_ns;
    TransferEvent event;
    event.id = id;
    event.kind = TransferEvent::Kind::kHeaders;
    event.time_ns = now_ns_;
    event.headers = transfer.headers;
    events.push_back(std::move(event));
  }
  transfer.credit += bytes;
  const size_t end = std::min(transfer.body.size(), transfer.stops_at);
  const size_t piece = std::min(static_cast<size_t>(transfer.credit), end - transfer.sent);
  transfer.credit -= static_cast<double>(static_cast<size_t>(transfer.credit));
  if (piece > 0) {
    transfer.sent += piece;
    transfer.last_ns = now_ns_;
    last_byte_s_ = now_s();
    TransferEvent event;
    event.id = id;
    event.time_ns = now_ns_;
    event.new_bytes = piece;
    events.push_back(std::move(event));
  }
  if (transfer.sent < end) return false;
  if (transfer.stops_at < transfer.body.size()) {
    return transfer.resets && ended(failure_of("connection reset"));
  }
  TransferEvent event;
  event.id = id;
  event.kind = TransferEvent::Kind::kDone;
  event.time_ns = now_ns_;
  event.headers = transfer.headers;
  event.body = std::move(transfer.body);
  events.push_back(std::move(event));
  return true;
}

void ChaosNetwork::step(double seconds, std::vector<TransferEvent>& events) {
  const auto receiving =
      static_cast<double>(std::count_if(transfers_.begin(), transfers_.end(),
                                        [](const auto& entry) { return entry.second.answered; }));
  const double bytes = rate() * seconds / std::max(receiving, 1.0);
  if (rate() <= 0 && !transfers_.empty()) ++faults_;
  for (auto it = transfers_.begin(); it != transfers_.end();) {
    it = advance(it->first, it->second, bytes, events) ? transfers_.erase(it) : std::next(it);
  }
}

std::vector<TransferEvent> ChaosNetwork::poll(std::chrono::nanoseconds max_wait) {
  std::vector<TransferEvent> events;
  let_engine_run();
  if (std::exchange(woken_, false)) return events;
  const int64_t until = now_ns_ + max_wait.count();
  while (events.empty() && now_ns_ < until) {
    int64_t next = std::min(now_ns_ + kStep_ns, until);
    if (sleeping_) next = std::min(next, std::max(sleeps_until_ns_, now_ns_));
    const double passed_s = static_cast<double>(next - now_ns_) * 1e-9;
    now_ns_ = next;
    step(passed_s, events);
    if (sleeping_ && now_ns_ >= sleeps_until_ns_) {
      {
        const std::lock_guard lock(mutex_);
        sleeping_ = false;
        working_ = true;
      }
      changed_.notify_all();
      let_engine_run();
      woken_ = false;
      break;
    }
  }
  return events;
}

// Real time passes, virtual time does not.
void ChaosNetwork::let_engine_run() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !working_; })) {
    throw std::runtime_error("the engine's thread hangs");
  }
}

void ChaosNetwork::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    if (std::this_thread::get_id() != thread_) {
      working_ = sleeping_ = false;
      ended_ = true;
    }
  }
  changed_.notify_all();
}

void ChaosNetwork::engine_works() {
  const std::lock_guard lock(mutex_);
  ended_ = false;
  if (!sleeping_) working_ = true;
}

void ChaosNetwork::engine_stops() {
  const std::lock_guard lock(mutex_);
  working_ = !ended_;
  sleeping_ = false;
}

bool ChaosNetwork::engine_sleeps(double seconds, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  if (stop.stop_requested()) return false;
  sleeps_until_ns_ = now_ns_ + to_ns(seconds);
  sleeping_ = true;
  working_ = false;
  changed_.notify_all();
  changed_.wait(lock, stop, [&] { return !sleeping_; });
  return !stop.stop_requested();
}

}  // namespace kvcast::player
