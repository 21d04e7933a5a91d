#include "player/session/recomputing.h"

#include <chrono>

namespace kvcast::player {
namespace {

double steady_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

kernels::Side side_of(size_t tensor) {
  return tensor % 2 == 0 ? kernels::Side::kKey : kernels::Side::kValue;
}

}  // namespace

Recomputing::Recomputing(Recompute* engine, const Presentation& presentation,
                         const std::vector<kernels::MutableTensorView>& destinations,
                         std::function<void()> wake)
    : engine_(engine),
      presentation_(presentation),
      destinations_(destinations),
      wake_(std::move(wake)) {
  for (const kernels::MutableTensorView& view : destinations) {
    prefix_.push_back({view.data, view.token_stride_bytes});
  }
  if (engine_ != nullptr) thread_ = std::jthread([this](std::stop_token end) { work(end); });
}

Recomputing::~Recomputing() {
  stop_.request_stop();
}

bool Recomputing::available() const {
  return engine_ != nullptr && tokens_.size() >= presentation_.tokens;
}

double Recomputing::elapsed_s() const {
  return chunk_ ? steady_s() - started_s_ : 0;
}

void Recomputing::stage(uint32_t chunk) {
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[chunk];
  const uint64_t tokens = entry.token_end - entry.token_begin;
  const size_t tensors = destinations_.size();
  if (tokens > staging_tokens_) {
    staging_.clear();
    for (size_t i = 0; i < tensors; ++i) {
      const uint64_t bytes = tokens * presentation_.geometry.channels(side_of(i)) *
                             kernels::dtype_bytes(presentation_.dtype);
      staging_.push_back(std::make_unique_for_overwrite<std::byte[]>(bytes));
    }
    staging_tokens_ = tokens;
  }
  staged_.clear();
  for (size_t i = 0; i < tensors; ++i) {
    staged_.push_back({staging_[i].get(), size_t{presentation_.geometry.channels(side_of(i))} *
                                              kernels::dtype_bytes(presentation_.dtype)});
  }
}

void Recomputing::start(uint32_t chunk) {
  stage(chunk);
  const manifests::ChunkEntry& entry = presentation_.manifest.chunks[chunk];
  stop_ = std::stop_source();
  chunk_ = chunk;
  started_s_ = steady_s();
  {
    const std::lock_guard lock(mutex_);
    task_ = RecomputeTask{std::span(tokens_).first(entry.token_end),
                          entry.token_begin,
                          entry.token_end,
                          presentation_.geometry,
                          presentation_.dtype,
                          prefix_,
                          staged_};
  }
  ready_.notify_one();
}

std::optional<Recomputing::Finished> Recomputing::collect() {
  const std::lock_guard lock(mutex_);
  if (bug_) std::rethrow_exception(std::exchange(bug_, nullptr));
  std::optional<Finished> finished = std::exchange(finished_, std::nullopt);
  if (finished) {
    finished->chunk = *chunk_;
    finished->cancelled = finished->cancelled || stop_.stop_requested();
    chunk_.reset();
  }
  return finished;
}

void Recomputing::work(std::stop_token end) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (!ready_.wait(lock, end, [this] { return task_.has_value(); }) || end.stop_requested()) {
      return;
    }
    const RecomputeTask task = *std::exchange(task_, std::nullopt);
    const std::stop_token stop = stop_.get_token();
    lock.unlock();
    try {
      Finished finished = prefill(task, stop);
      lock.lock();
      finished_ = std::move(finished);
    } catch (...) {  // memory has run out, or the engine has a bug: for the session's thread to say
      if (!lock.owns_lock()) lock.lock();
      bug_ = std::current_exception();
    }
    lock.unlock();
    wake_();
  }
}

Recomputing::Finished Recomputing::prefill(const RecomputeTask& task, std::stop_token stop) {
  const double begin_s = steady_s();
  auto outcome = engine_->prefill(task, std::move(stop));
  Finished finished;
  if (outcome) {
    finished.cancelled = outcome->cancelled;
    finished.seconds = outcome->seconds;
  } else {
    finished.error = outcome.error();
    finished.seconds = steady_s() - begin_s;
  }
  return finished;
}

}  // namespace kvcast::player
