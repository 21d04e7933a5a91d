#include "player/session/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "player/url.h"

namespace kvcast::player {
namespace {

// A manifest's bytes are counted unpacked, and they are few: no measure of the link.
bool measures(const Want& want) {
  return want.kind != Want::Kind::kManifest;
}

constexpr uint64_t kCarriedMost = 1u << 20;

}  // namespace

Link::~Link() {
  if (history_ == nullptr) return;
  const double now_s = journal_.now_s();
  for (const auto& [name, host] : hosts_) {
    LinkRecord seen;
    seen.rate_bytes_per_s = {host.throughput.bytes_per_s(now_s, Tier::kOrigin),
                             host.throughput.spread(now_s).log_sd};
    if (host.ttfb.samples() > 0) seen.ttfb_s = host.ttfb.spread();
    seen.rtt_s = host.rtt_s;
    history_->learn(name, seen, wall_clock_s_);
  }
}

void Link::start(const Want& want, DownloadRequest request) {
  Running running{want, request.name, request.object ? request.object->bytes : 0, 0, {}};
  running_.emplace(downloader_.start(std::move(request)), std::move(running));
}

// The first request to a host brings what earlier plays learned of it.
void Link::meet(const std::string& name) {
  const auto [host, is_new] = hosts_.try_emplace(name);
  if (!is_new || history_ == nullptr) return;
  const auto record = history_->find(name, wall_clock_s_);
  if (!record) return;
  downloader_.expect(name, *record);
  if (record->rate_bytes_per_s.median > 0) throughput_.set_prior(record->rate_bytes_per_s);
  ttfb_.set_prior(record->ttfb_s);
  host->second.rtt_s = record->rtt_s;
  if (rtt_s_ == 0) rtt_s_ = record->rtt_s;
  journal_.note(
      "prior", {}, {},
      fmt::format("earlier plays saw {} and {:.1f} ms to the first byte from {}",
                  rate_text(record->rate_bytes_per_s.median), record->ttfb_s.median * 1e3, name),
      {{"rate_bytes_per_s", record->rate_bytes_per_s.median},
       {"ttfb_ms", record->ttfb_s.median * 1e3},
       {"rtt_ms", record->rtt_s * 1e3}});
}

void Link::enter_body(Running& running, const DownloadEvent& event) {
  const ResponseHeaders& headers = event.headers;
  const double time_s = journal_.seconds(event.time_ns);
  const double ttfb_s = static_cast<double>(headers.ttfb_ns - headers.setup_ns) * 1e-9;
  leave_body(running, event.attempt, time_s);
  const Body body{tier_of(headers), host_of(event.url)};
  running.bodies[event.attempt] = body;
  Host& host = hosts_[body.host];
  ttfb_.add(ttfb_s);
  if (body.tier == Tier::kOrigin) host.ttfb.add(ttfb_s);
  if (headers.handshake_ns > 0) {
    const double rtt_s = static_cast<double>(headers.handshake_ns) * 1e-9;
    host.rtt_s = host.rtt_s > 0 ? std::min(host.rtt_s, rtt_s) : rtt_s;
    rtt_s_ = rtt_s_ > 0 ? std::min(rtt_s_, rtt_s) : rtt_s;
  }
  if (headers.server_rate_bytes_per_s) throughput_.set_prior({*headers.server_rate_bytes_per_s, 1});
  const bool cached = body.tier == Tier::kCache;
  note("response", running, event,
       {{"status", headers.status},
        {"http2", headers.http2 ? 1 : 0},
        {"cached", cached ? 1 : 0},
        {"age_s", static_cast<double>(headers.age_s.value_or(0))},
        {"first_byte_ms", ttfb_s * 1e3},
        {"setup_ms", static_cast<double>(headers.setup_ns) * 1e-6}});
  if (!measures(running.want)) return;
  throughput_.body_begins(time_s, body.tier);
  samples_.body_begins(time_s);
  host.throughput.body_begins(time_s, body.tier);
}

void Link::take_data(Running& running, const DownloadEvent& event) {
  const auto body = running.bodies.find(event.attempt);
  if (body != running.bodies.end() && measures(running.want)) {
    const double time_s = journal_.seconds(event.time_ns);
    const auto& [tier, host] = body->second;
    throughput_.data(time_s, event.new_bytes, tier);
    samples_.data(time_s, static_cast<double>(event.new_bytes));
    hosts_[host].throughput.data(time_s, event.new_bytes, tier);
  }
  running.received_bytes = event.received_bytes;
  count(running, event.new_bytes);
}

void Link::leave_body(Running& running, uint32_t attempt, double time_s) {
  const auto body = running.bodies.extract(attempt);
  if (body.empty() || !measures(running.want)) return;
  throughput_.body_ends(time_s, body.mapped().tier);
  samples_.body_ends(time_s);
  hosts_[body.mapped().host].throughput.body_ends(time_s, body.mapped().tier);
}

void Link::leave_bodies(Running& running, double time_s) {
  while (!running.bodies.empty()) leave_body(running, running.bodies.begin()->first, time_s);
}

void Link::count(const Running& running, uint64_t new_bytes) {
  bytes_fetched_ += new_bytes;
  if (running.want.kind != Want::Kind::kPlane) return;
  if (chunk_bytes_.size() <= running.want.chunk) chunk_bytes_.resize(running.want.chunk + 1);
  chunk_bytes_[running.want.chunk] += new_bytes;
}

void Link::cancel(const Want& want) {
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    const Want& other = it->second.want;
    if (other.kind != want.kind || other.chunk != want.chunk || other.plane != want.plane) continue;
    downloader_.cancel(it->first);
    leave_bodies(it->second, journal_.now_s());
    running_.erase(it);
    return;
  }
}

void Link::cancel_all() {
  for (auto& [id, running] : running_) {
    downloader_.cancel(id);
    leave_bodies(running, journal_.now_s());
  }
  running_.clear();
}

LinkForecast Link::forecast() const {
  return {throughput_.spread(journal_.now_s()), ttfb_.spread(), rtt_s_,
          std::min(bytes_fetched_, kCarriedMost)};
}

uint64_t Link::in_flight_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, running] : running_) {
    bytes += running.expected_bytes - std::min(running.expected_bytes, running.received_bytes);
  }
  return bytes;
}

uint32_t Link::free_transfers(uint32_t usual, uint32_t most) const {
  const uint32_t under_way = running();
  if (under_way < usual) return usual - under_way;
  if (under_way >= std::max(usual, most)) return 0;
  const double until_answer = throughput_.measured_bytes_per_s(journal_.now_s()) * ttfb_s();
  return static_cast<double>(in_flight_bytes()) < until_answer ? 1 : 0;
}

void Link::set_backlog(uint64_t bytes, bool decoding, uint64_t limit_bytes) {
  const bool pause = decoding && bytes > (paused_ ? limit_bytes / 2 : limit_bytes);
  if (pause == paused_) return;
  paused_ = pause;
  const double now_s = journal_.now_s();
  const auto tell = [&](ThroughputEstimator& throughput) {
    pause ? throughput.pause(now_s) : throughput.resume(now_s);
  };
  tell(throughput_);
  for (auto& [name, host] : hosts_) tell(host.throughput);
  downloader_.pause(pause);
  journal_.note(pause ? "pause" : "resume", {}, {},
                fmt::format("{} bytes wait to be decoded, the limit is {}", bytes, limit_bytes),
                {{"backlog_bytes", static_cast<double>(bytes)}});
}

void Link::note(std::string_view what, const Running& running, const DownloadEvent& event,
                Numbers more) {
  const bool plane = running.want.kind == Want::Kind::kPlane;
  std::string reason = event.name;
  if (!event.reason.empty()) reason += ": " + event.reason;
  if (!event.url.empty()) reason += " (" + event.url + ")";
  Numbers numbers = {{"attempt", event.attempt},
                     {"received_bytes", static_cast<double>(event.received_bytes)},
                     {"rate_bytes_per_s", rate_bytes_per_s()},
                     {"ttfb_ms", ttfb_s() * 1e3}};
  numbers.insert(numbers.end(), more.begin(), more.end());
  journal_.note(what, plane ? std::optional(running.want.chunk) : std::nullopt,
                plane ? std::optional(running.want.plane) : std::nullopt, std::move(reason),
                std::move(numbers));
}

std::optional<Link::Outcome> Link::take(DownloadEvent& event) {
  const auto found = running_.find(event.id);
  if (found == running_.end()) return std::nullopt;
  Running& running = found->second;
  const double time_s = journal_.seconds(event.time_ns);
  switch (event.kind) {
    case DownloadEvent::Kind::kStarted:
      ++requests_;
      meet(host_of(event.url));
      return std::nullopt;
    case DownloadEvent::Kind::kHeaders:
      enter_body(running, event);
      return std::nullopt;
    case DownloadEvent::Kind::kData:
      take_data(running, event);
      return std::nullopt;
    case DownloadEvent::Kind::kRetry:
      ++retries_;
      leave_body(running, event.attempt, time_s);
      running.received_bytes = event.received_bytes;
      note("retry", running, event,
           {{"status", event.http_status},
            {"pause_ms", static_cast<double>(event.retry_at_ns - event.time_ns) * 1e-6}});
      return std::nullopt;
    case DownloadEvent::Kind::kHedge:
      ++requests_;
      ++hedges_;
      meet(host_of(event.url));
      note("hedge", running, event,
           {{"offset", static_cast<double>(event.offset)},
            {"waited_ms", static_cast<double>(event.waited_ns) * 1e-6},
            {"bytes_twice", static_cast<double>(bytes_twice())}});
      return std::nullopt;
    case DownloadEvent::Kind::kHedgeEnd:
      leave_body(running, event.attempt, time_s);
      running.received_bytes = event.received_bytes;
      note("hedge_end", running, event, {{"bytes_twice", static_cast<double>(bytes_twice())}});
      return std::nullopt;
    case DownloadEvent::Kind::kComplete:
    case DownloadEvent::Kind::kFailed:
      break;
  }
  leave_bodies(running, time_s);
  Outcome outcome{running.want, running.name, std::move(event.bytes), std::move(event.error)};
  if (outcome.error) {
    ++failures_;
    event.reason = outcome.error->message;
  }
  note(outcome.error ? "failed" : "complete", running, event);
  running_.erase(found);
  return outcome;
}

std::vector<Link::Outcome> Link::poll(std::chrono::nanoseconds max_wait) {
  std::vector<Outcome> outcomes;
  downloader_.describe(rate_bytes_per_s(), {});
  for (DownloadEvent& event : downloader_.poll(max_wait)) {
    if (auto outcome = take(event)) outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

}  // namespace kvcast::player
