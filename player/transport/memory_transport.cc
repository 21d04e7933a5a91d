#include "player/transport/memory_transport.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

namespace kvcast::player {

TransferId MemoryTransport::start(TransferRequest request) {
  const TransferId id = ++last_id_;
  requests_.push_back(request);
  Response response = handler_(request);
  int64_t time = now_ns_ + response.first_byte.count();
  response.headers.ttfb_ns = response.first_byte.count();
  const auto add = [&](TransferEvent::Kind kind) -> TransferEvent& {
    TransferEvent event;
    event.id = id;
    event.kind = kind;
    event.time_ns = time;
    event.headers = response.headers;
    return coming_.emplace(time, std::move(event))->second;
  };
  if (response.headers.status == 200 || response.headers.status == 206) {
    add(TransferEvent::Kind::kHeaders);
    for (size_t sent = 0; sent < response.body.size();) {
      time += response.per_piece.count();
      const size_t piece = std::min(response.piece_bytes, response.body.size() - sent);
      const bool paused = sent <= response.pause_after && response.pause_after < sent + piece;
      if (paused) time += response.pause.count();
      add(TransferEvent::Kind::kData).new_bytes = piece;
      sent += piece;
    }
  }
  if (response.hangs) time += std::chrono::nanoseconds(std::chrono::hours(24)).count();
  TransferEvent& last =
      add(response.failure ? TransferEvent::Kind::kFailed : TransferEvent::Kind::kDone);
  if (response.failure) last.failure = *response.failure;
  last.body = std::move(response.body);
  limit_waits(id, request, now_ns_);
  most_in_flight_ = std::max(most_in_flight_, in_flight());
  return id;
}

// What the limits of a request make of an answer that hangs.
void MemoryTransport::limit_waits(TransferId id, const TransferRequest& request, int64_t start_ns) {
  int64_t limit = std::chrono::nanoseconds(request.first_byte_limit).count();
  int64_t last = start_ns;
  size_t delivered = 0;
  std::optional<int64_t> struck;
  std::vector<std::byte> body;
  for (auto it = coming_.begin(); it != coming_.end();) {
    if (it->second.id != id) {
      ++it;
      continue;
    }
    if (!struck && it->first - last > limit) struck = last + limit;
    if (!struck) {
      delivered += it->second.new_bytes;
      last = it->first;
      limit = std::chrono::nanoseconds(request.stall_limit).count();
      ++it;
      continue;
    }
    body = std::move(it->second.body);
    it = coming_.erase(it);
  }
  if (!struck) return;
  TransferEvent failed;
  failed.id = id;
  failed.kind = TransferEvent::Kind::kFailed;
  failed.time_ns = *struck;
  failed.failure.message = "nothing came in time";
  failed.failure.retryable = true;
  body.resize(std::min(body.size(), delivered));
  failed.body = std::move(body);
  coming_.emplace(*struck, std::move(failed));
}

void MemoryTransport::cancel(TransferId id) {
  std::erase_if(coming_, [&](const auto& entry) { return entry.second.id == id; });
}

std::vector<std::byte> MemoryTransport::stop(TransferId id) {
  std::vector<std::byte> body;
  for (auto& [time, event] : coming_) {
    if (event.id == id && event.kind != TransferEvent::Kind::kHeaders) body = std::move(event.body);
  }
  body.resize(std::min(body.size(), delivered_[id]));
  cancel(id);
  return body;
}

std::vector<TransferEvent> MemoryTransport::poll(std::chrono::nanoseconds max_wait) {
  std::vector<TransferEvent> events;
  if (std::exchange(woken_, false)) return events;
  const int64_t until = now_ns_ + max_wait.count();
  const int64_t next = coming_.empty() ? until : std::min(until, coming_.begin()->first);
  now_ns_ = std::max(now_ns_, next);
  while (!coming_.empty() && coming_.begin()->first <= now_ns_) {
    events.push_back(std::move(coming_.begin()->second));
    delivered_[events.back().id] += events.back().new_bytes;
    coming_.erase(coming_.begin());
  }
  return events;
}

size_t MemoryTransport::in_flight() const {
  std::set<TransferId> ids;
  for (const auto& [time, event] : coming_) ids.insert(event.id);
  return ids.size();
}

MemoryTransport::Response serve_bytes(const std::vector<std::byte>& object, const std::string& etag,
                                      const TransferRequest& request) {
  MemoryTransport::Response response;
  response.headers.status = 200;
  response.headers.etag = etag;
  const bool other_etag =
      std::any_of(request.headers.begin(), request.headers.end(), [&](const std::string& header) {
        return header.starts_with("If-Range: ") && header != "If-Range: " + etag;
      });
  if (!request.range || other_etag) {
    response.headers.content_length = object.size();
    response.body = object;
    return response;
  }
  if (request.range->first >= object.size()) return serve_status(416, false);
  response.headers.status = 206;
  response.headers.range_first = request.range->first;
  response.headers.range_total = object.size();
  response.headers.content_length = object.size() - request.range->first;
  response.body.assign(object.begin() + static_cast<ptrdiff_t>(request.range->first), object.end());
  return response;
}

MemoryTransport::Response serve_status(int status, bool retryable) {
  MemoryTransport::Response response;
  response.headers.status = status;
  response.failure.emplace();
  response.failure->message = "HTTP status " + std::to_string(status);
  response.failure->http_status = status;
  response.failure->retryable = retryable;
  return response;
}

MemoryTransport::Response broken_after(MemoryTransport::Response response, size_t bytes) {
  response.body.resize(std::min(bytes, response.body.size()));
  response.failure.emplace();
  response.failure->message = "connection reset";
  response.failure->http_status = response.headers.status;
  response.failure->retryable = true;
  return response;
}

}  // namespace kvcast::player
