#include <algorithm>
#include <utility>

#include "manifests/layout.h"
#include "player/download.h"
#include "player/download/downloader_state.h"
#include "player/url.h"

namespace kvcast::player {

using manifests::Status;

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
    std::string host = host_of(*url);
    resolved.push_back({.url = *std::move(url),
                        .host = std::move(host),
                        .priority = base.priority,
                        .weight = base.weight});
  }
  state_->bases.assign(std::move(resolved));
  state_->parked.clear();
  return {};
}

void Downloader::set_deadline(std::optional<int64_t> deadline_ns) {
  state_->deadline_ns = deadline_ns;
}

void Downloader::expect(const std::string& host, const LinkRecord& record) {
  state_->hosts[host].ttfb.set_prior(record.ttfb_s);
}

void Downloader::describe(double rate_bytes_per_s, const std::string& content_id) {
  state_->rate_bytes_per_s = rate_bytes_per_s;
  if (!content_id.empty()) state_->params.cmcd.content_id = content_id;
}

void Downloader::pause(bool paused) {
  state_->transport.pause(paused);
  state_->paused = paused;
  if (paused) return;
  const int64_t now = state_->transport.now_ns();
  state_->alive_ns = now;
  for (auto& [id, task] : state_->tasks) {
    if (task.first) task.first->last_ns = now;
    if (task.second) task.second->last_ns = now;
  }
}

DownloadId Downloader::start(DownloadRequest request) {
  if (state_->tasks.empty()) state_->alive_ns = state_->transport.now_ns();
  const DownloadId id = ++state_->last_id;
  DownloadTask& task = state_->tasks.try_emplace(id, id, std::move(request)).first->second;
  if (task.request.object) {
    task.bases = &state_->bases;
    task.path = manifests::object_path_in_tenant(task.request.object->digest);
    state_->object_bytes += task.request.object->bytes;
    state_->unpark(task);
  } else {
    task.own_base.assign({Base{.url = task.request.url, .host = host_of(task.request.url)}});
    task.bases = &task.own_base;
  }
  return id;
}

void Downloader::cancel(DownloadId id) {
  State& state = *state_;
  const auto found = state.tasks.find(id);
  if (found == state.tasks.end()) return;
  state.park(found->second);
  state.tasks.erase(found);
}

std::vector<DownloadEvent> Downloader::poll(std::chrono::nanoseconds max_wait) {
  State& state = *state_;
  const int64_t begin = state.transport.now_ns();
  const int64_t until = begin + std::clamp<int64_t>(max_wait.count(), 0, INT64_MAX - begin);
  for (int64_t now = begin;; now = state.transport.now_ns()) {
    state.start_ready(now);
    const int64_t next =
        std::min(state.next_hedge_ns(state.next_ready_ns(until)), state.give_up_ns());
    const int64_t wake = state.events.empty() ? next : now;
    auto happened =
        state.transport.poll(std::chrono::nanoseconds(std::max<int64_t>(wake - now, 0)));
    const bool quiet = happened.empty();
    state.handle(std::move(happened));
    now = state.transport.now_ns();
    state.hedge_due(now);
    state.give_up_if_dead(now);
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
  size_t waiting = 0;
  for (const auto& [id, task] : state_->tasks) waiting += task.waiting();
  return waiting;
}

uint64_t Downloader::bytes_twice() const {
  return state_->twice_bytes;
}

}  // namespace kvcast::player
