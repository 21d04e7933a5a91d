#include "player/curl_transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "player/transport/curl_transfer.h"

namespace kvcast::player {
namespace {

constexpr uint32_t kSpareConnections = 4;  // kept alive to other hosts, beyond those in use

constexpr long kWarmLimitMs = 3000;

struct MultiDelete {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

}  // namespace

struct CurlTransport::State {
  CurlTransportParams params;
  std::unique_ptr<CURLM, MultiDelete> multi;
  std::map<TransferId, std::unique_ptr<CurlTransfer>> active;
  std::deque<std::unique_ptr<CurlTransfer>> waiting;
  std::vector<TransferEvent> events;
  std::vector<CURL*> warming;
  std::atomic<bool> woken{false};
  std::mutex mutex;  // wakes that come while paused
  std::condition_variable wakes;
  std::optional<int64_t> paused_ns;  // since
  TransferId last_id = 0;

  void begin_waiting() {
    while (!waiting.empty() && active.size() < params.max_connections) {
      std::unique_ptr<CurlTransfer> transfer = std::move(waiting.front());
      waiting.pop_front();
      if (!transfer->begin(params)) continue;
      if (curl_multi_add_handle(multi.get(), transfer->handle()) != CURLM_OK) {
        transfer->finish(CURLE_FAILED_INIT);
        continue;
      }
      active.emplace(transfer->id(), std::move(transfer));
    }
  }

  std::unique_ptr<CurlTransfer> take(TransferId id) {
    auto found = active.extract(id);
    if (found.empty()) return nullptr;
    curl_multi_remove_handle(multi.get(), found.mapped()->handle());
    return std::move(found.mapped());
  }

  void collect_finished() {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      CurlTransfer* transfer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      if (transfer != nullptr) {
        take(transfer->id())->finish(code);
      } else {
        end_warming(message->easy_handle);
      }
    }
  }

  void end_warming(CURL* easy) {
    curl_multi_remove_handle(multi.get(), easy);
    curl_easy_cleanup(easy);
    std::erase(warming, easy);
  }

  void warm_one(const std::string& url) {
    CURL* easy = curl_easy_init();
    if (easy == nullptr) return;
    warming.push_back(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, kWarmLimitMs);
    set_connection_options(easy, params);
    if (curl_multi_add_handle(multi.get(), easy) != CURLM_OK) end_warming(easy);
  }

  void expire(int64_t now) {
    std::vector<TransferId> expired;
    for (const auto& [id, transfer] : active) {
      if (transfer->expires_ns() <= now) expired.push_back(id);
    }
    for (TransferId id : expired) take(id)->expire();
  }

  int64_t next_expiry_ns(int64_t latest) const {
    for (const auto& [id, transfer] : active) latest = std::min(latest, transfer->expires_ns());
    return latest;
  }
};

CurlTransport::CurlTransport(CurlTransportParams params) : state_(std::make_unique<State>()) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady != CURLE_OK) throw std::bad_alloc();
  params.max_connections = std::max(params.max_connections, 1u);
  state_->params = std::move(params);
  state_->multi.reset(curl_multi_init());
  if (!state_->multi) throw std::bad_alloc();
  curl_multi_setopt(state_->multi.get(), CURLMOPT_PIPELINING, long{CURLPIPE_MULTIPLEX});
  curl_multi_setopt(state_->multi.get(), CURLMOPT_MAXCONNECTS,
                    static_cast<long>(state_->params.max_connections + kSpareConnections));
}

CurlTransport::~CurlTransport() {
  while (!state_->warming.empty()) state_->end_warming(state_->warming.back());
  while (!state_->active.empty()) state_->take(state_->active.begin()->first);
}

TransferId CurlTransport::start(TransferRequest request) {
  const TransferId id = ++state_->last_id;
  state_->waiting.push_back(std::make_unique<CurlTransfer>(id, std::move(request), state_->events));
  return id;
}

void CurlTransport::cancel(TransferId id) {
  State& state = *state_;
  state.take(id);
  std::erase_if(state.waiting, [&](const auto& transfer) { return transfer->id() == id; });
  std::erase_if(state.events, [&](const TransferEvent& event) { return event.id == id; });
}

std::vector<std::byte> CurlTransport::stop(TransferId id) {
  const std::unique_ptr<CurlTransfer> transfer = state_->take(id);
  cancel(id);
  if (!transfer) return {};
  return transfer->take_accepted_body();
}

void CurlTransport::warm(const std::string& url, uint32_t connections) {
  for (uint32_t i = 0; i < connections; ++i) state_->warm_one(url);
}

void CurlTransport::pause(bool paused) {
  State& state = *state_;
  if (paused == state.paused_ns.has_value()) return;
  if (paused) {
    state.paused_ns = now_ns();
    return;
  }
  const int64_t passed = now_ns() - *state.paused_ns;
  state.paused_ns.reset();
  for (auto& [id, transfer] : state.active) transfer->forgive(passed);
}

std::vector<TransferEvent> CurlTransport::poll(std::chrono::nanoseconds max_wait) {
  State& state = *state_;
  if (state.paused_ns) {
    std::unique_lock lock(state.mutex);
    if (state.events.empty()) {
      state.wakes.wait_for(lock, max_wait, [&] { return state.woken.load(); });
    }
    state.woken = false;
    return std::exchange(state.events, {});
  }
  // A month is for ever; the sum stays in range.
  const int64_t wait = std::clamp<int64_t>(max_wait.count(), 0, 30ll * 86'400 * 1'000'000'000);
  const int64_t until = now_ns() + wait;
  for (;;) {
    state.begin_waiting();
    int running = 0;
    curl_multi_perform(state.multi.get(), &running);
    state.collect_finished();
    const int64_t now = now_ns();
    state.expire(now);
    if (state.woken.exchange(false) || !state.events.empty() || now >= until) break;
    const int64_t ms = (state.next_expiry_ns(until) - now + 999'999) / 1'000'000;
    curl_multi_poll(state.multi.get(), nullptr, 0,
                    static_cast<int>(std::clamp<int64_t>(ms, 0, 60'000)), nullptr);
  }
  return std::exchange(state.events, {});
}

void CurlTransport::wake() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->woken = true;
  }
  state_->wakes.notify_one();
  curl_multi_wakeup(state_->multi.get());
}

int64_t CurlTransport::now_ns() const {
  return steady_now_ns();
}

}  // namespace kvcast::player
