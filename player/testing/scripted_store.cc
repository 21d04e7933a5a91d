#include "player/testing/scripted_store.h"

namespace kvcast::player {

TransferId ScriptedStore::start(TransferRequest request) {
  requested_.push_back(request.url);
  waiting_.emplace(++last_id_, std::move(request));
  return last_id_;
}

void ScriptedStore::cancel(TransferId id) {
  waiting_.erase(id);
}

void ScriptedStore::answer(TransferId id, const TransferRequest& request,
                           std::vector<TransferEvent>& events) {
  TransferEvent event;
  event.id = id;
  event.time_ns = now_ns();
  const auto file = files_.find(request.url);
  if (file == files_.end()) {
    event.kind = TransferEvent::Kind::kFailed;
    event.failure.message = "404";
    event.failure.http_status = 404;
    events.push_back(event);
    return;
  }
  event.kind = TransferEvent::Kind::kHeaders;
  event.headers.status = 200;
  event.headers.content_length = file->second.size();
  event.headers.ttfb_ns = 100'000;
  events.push_back(event);
  event.kind = TransferEvent::Kind::kData;
  event.new_bytes = file->second.size();
  events.push_back(event);
  event.kind = TransferEvent::Kind::kDone;
  event.new_bytes = 0;
  event.body = file->second;
  events.push_back(std::move(event));
}

std::vector<TransferEvent> ScriptedStore::poll(std::chrono::nanoseconds max_wait) {
  std::vector<TransferEvent> events;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (held(it->second.url)) {
      ++it;
      continue;
    }
    answer(it->first, it->second, events);
    it = waiting_.erase(it);
  }
  std::unique_lock lock(mutex_);
  if (events.empty()) woken_.wait_for(lock, max_wait, [this] { return wake_; });
  wake_ = false;
  return events;
}

void ScriptedStore::wake() {
  {
    const std::lock_guard lock(mutex_);
    wake_ = true;
  }
  woken_.notify_one();
}

int64_t ScriptedStore::now_ns() const {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace kvcast::player
