#include "player/device/device_decoder.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace kvcast::player {
namespace {

// How late the end of a copy or a batch may be noticed.
constexpr std::chrono::microseconds kGlance{50};

}  // namespace

DeviceDecoder::DeviceDecoder(DeviceKvSink& sink, std::function<void()> wake)
    : sink_(sink), wake_(std::move(wake)), queue_(sink) {
  thread_ = std::jthread([this](std::stop_token stop) { work(stop); });
}

DeviceDecoder::~DeviceDecoder() {
  thread_.request_stop();
}

manifests::Error DeviceDecoder::error_of(const kernels::Fault& fault) const {
  return {manifests::ErrorKind::kIo,
          fmt::format("device {}: {}", sink_.room().device().info().name, fault.what)};
}

manifests::Status DeviceDecoder::use_profile(const kernels::Profile& profile) {
  const std::lock_guard lock(queue_mutex_);
  if (const kernels::Check used = queue_.use_profile(profile); !used) {
    return error_of(used.fault());
  }
  return {};
}

void DeviceDecoder::keep(const std::shared_ptr<const StoredObject>& object) {
  {
    const std::lock_guard lock(mutex_);
    news_.kept.push_back(object);
    has_news_ = true;
  }
  something_.notify_one();
}

void DeviceDecoder::release(const std::shared_ptr<const StoredObject>& object) {
  const std::lock_guard lock(mutex_);
  news_.released.push_back(object);
  has_news_ = true;
}

void DeviceDecoder::submit(std::vector<DecodeJob> jobs) {
  {
    const std::lock_guard lock(mutex_);
    for (DecodeJob& job : jobs) news_.jobs.push_back(std::move(job));
    has_news_ = true;
  }
  something_.notify_one();
}

manifests::Result<std::vector<DecodeDone>> DeviceDecoder::collect() {
  const std::lock_guard lock(mutex_);
  if (bug_) std::rethrow_exception(std::exchange(bug_, nullptr));
  if (failure_) return *failure_;
  return std::exchange(done_, {});
}

void DeviceDecoder::take_news() {
  News news;
  {
    const std::lock_guard lock(mutex_);
    news = std::exchange(news_, {});
    has_news_ = false;
  }
  for (const auto& object : news.kept) queue_.keep(object);
  for (DecodeJob& job : news.jobs) queue_.submit(std::move(job));
  for (const auto& object : news.released) queue_.release(object);
}

bool DeviceDecoder::work_once() {
  const std::lock_guard queue_lock(queue_mutex_);
  take_news();
  const kernels::Checked<bool> pumped = queue_.pump();
  std::vector<DecodeDone> done = queue_.take_done();
  if (pumped && done.empty()) return *pumped;
  {
    const std::lock_guard lock(mutex_);
    for (DecodeDone& one : done) done_.push_back(std::move(one));
    if (!pumped) failure_ = error_of(pumped.fault());
  }
  wake_();
  return pumped.ok();
}

void DeviceDecoder::work(std::stop_token stop) {
  try {
    while (!stop.stop_requested()) {
      if (work_once()) continue;
      std::unique_lock lock(mutex_);
      if (failure_) return;
      const auto news = [this] { return has_news_; };
      if (queue_.busy()) {
        something_.wait_for(lock, stop, kGlance, news);
      } else {
        something_.wait(lock, stop, news);
      }
    }
  } catch (...) {  // memory has run out: for the session's thread to say
    {
      const std::lock_guard lock(mutex_);
      bug_ = std::current_exception();
    }
    wake_();
  }
}

}  // namespace kvcast::player
