#include "player/session/link.h"

#include <algorithm>

namespace kvcast::player {

void Link::start(const Want& want, DownloadRequest request) {
  Running running{want, request.name, request.object ? request.object->bytes : 0};
  running_.emplace(downloader_.start(std::move(request)), std::move(running));
}

void Link::leave_body(Running& running, double time_s) {
  if (running.in_body) throughput_.body_ends(time_s);
  running.in_body = false;
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
    leave_body(it->second, journal_.now_s());
    running_.erase(it);
    return;
  }
}

void Link::cancel_all() {
  for (auto& [id, running] : running_) {
    downloader_.cancel(id);
    leave_body(running, journal_.now_s());
  }
  running_.clear();
}

uint64_t Link::in_flight_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, running] : running_) {
    bytes += running.expected_bytes - std::min(running.expected_bytes, running.received_bytes);
  }
  return bytes;
}

void Link::note(std::string_view what, const Running& running, const DownloadEvent& event) {
  const bool plane = running.want.kind == Want::Kind::kPlane;
  std::string reason = event.name;
  if (!event.reason.empty()) reason += ": " + event.reason;
  if (!event.url.empty()) reason += " (" + event.url + ")";
  journal_.note(what, plane ? std::optional(running.want.chunk) : std::nullopt,
                plane ? std::optional(running.want.plane) : std::nullopt, std::move(reason),
                {{"attempt", event.attempt},
                 {"received_bytes", static_cast<double>(event.received_bytes)},
                 {"rate_bytes_per_s", rate_bytes_per_s()},
                 {"ttfb_ms", throughput_.ttfb_s() * 1e3}});
}

std::optional<Link::Outcome> Link::take(DownloadEvent& event) {
  const auto found = running_.find(event.id);
  if (found == running_.end()) return std::nullopt;
  Running& running = found->second;
  const double time_s = journal_.seconds(event.time_ns);
  switch (event.kind) {
    case DownloadEvent::Kind::kStarted:
      ++requests_;
      return std::nullopt;
    case DownloadEvent::Kind::kHeaders:
      leave_body(running, time_s);
      throughput_.body_begins(time_s, static_cast<double>(event.headers.ttfb_ns) * 1e-9);
      running.in_body = true;
      return std::nullopt;
    case DownloadEvent::Kind::kData:
      throughput_.data(time_s, event.new_bytes);
      running.received_bytes = event.received_bytes;
      count(running, event.new_bytes);
      return std::nullopt;
    case DownloadEvent::Kind::kRetry:
      ++retries_;
      leave_body(running, time_s);
      running.received_bytes = event.received_bytes;
      note("retry", running, event);
      return std::nullopt;
    case DownloadEvent::Kind::kComplete:
    case DownloadEvent::Kind::kFailed:
      break;
  }
  leave_body(running, time_s);
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
  for (DownloadEvent& event : downloader_.poll(max_wait)) {
    if (auto outcome = take(event)) outcomes.push_back(std::move(*outcome));
  }
  return outcomes;
}

}  // namespace kvcast::player
