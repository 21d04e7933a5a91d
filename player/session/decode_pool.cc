#include "player/session/decode_pool.h"

#include <fmt/format.h>

#include <chrono>
#include <span>

#include "kernels/exact.h"

namespace kvcast::player {
namespace {

using kernels::Check;
using kernels::Fault;
using kernels::SectionKind;

Check decode_exact_section(const DecodeJob& job) {
  const auto section = job.planes[0]->section(SectionKind::kExact, job.group, job.side);
  if (!section) return Fault{"the exact section is missing"};
  return kernels::decode_exact(job.dtype, job.tokens.count, job.channels, *section, job.layers[0]);
}

Check decode_level(const DecodeJob& job, uint32_t level) {
  std::vector<std::span<const std::byte>> planes;
  for (uint32_t n = 0; n <= level; ++n) {
    const auto kind = n == 0 ? SectionKind::kBase : SectionKind::kRefinement;
    const auto section = job.planes[n]->section(kind, job.group, job.side);
    if (!section) return Fault{fmt::format("plane {} lacks the section", n)};
    planes.push_back(*section);
  }
  const auto sinks = job.planes[0]->section(SectionKind::kSinks, job.group, job.side);
  return kernels::decode_section(*job.codec, job.group, job.side, job.tokens, job.dtype, planes,
                                 sinks.value_or(std::span<const std::byte>()), job.layers);
}

}  // namespace

DecodeDone run_decode(const DecodeJob& job) {
  const auto begin = std::chrono::steady_clock::now();
  DecodeDone done{job.chunk, job.group, -1, {}, job.work, 0};
  for (auto level = static_cast<int>(job.planes.size()) - 1; level >= 0 && done.level < 0;
       --level) {
    const Check check =
        job.exact ? decode_exact_section(job) : decode_level(job, static_cast<uint32_t>(level));
    if (check) {
      done.level = level;
    } else if (done.fault.empty()) {
      done.fault = fmt::format("{}: group {}, {}: {} (byte {} of the section)",
                               job.planes[static_cast<size_t>(level)]->name(), job.group,
                               job.side == kernels::Side::kKey ? "keys" : "values",
                               check.fault().what, check.fault().offset);
    }
  }
  done.thread_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return done;
}

DecodePool::DecodePool(uint32_t threads, std::function<void()> wake) : wake_(std::move(wake)) {
  for (uint32_t i = 0; i < threads; ++i)
    threads_.emplace_back([this](std::stop_token stop) { work(stop); });
}

DecodePool::~DecodePool() {
  for (std::jthread& thread : threads_) thread.request_stop();
}

void DecodePool::submit(std::vector<DecodeJob> jobs) {
  if (threads_.empty()) {
    for (const DecodeJob& job : jobs) {
      done_.push_back(run_decode(job));
      wake_();
    }
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    for (DecodeJob& job : jobs) waiting_.push_back(std::move(job));
  }
  ready_.notify_all();
}

manifests::Result<std::vector<DecodeDone>> DecodePool::collect() {
  const std::lock_guard lock(mutex_);
  if (bug_) std::rethrow_exception(std::exchange(bug_, nullptr));
  return std::exchange(done_, {});
}

void DecodePool::work(std::stop_token stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (!ready_.wait(lock, stop, [this] { return !waiting_.empty(); }) || stop.stop_requested()) {
      return;
    }
    const DecodeJob job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      DecodeDone done = run_decode(job);
      lock.lock();
      done_.push_back(std::move(done));
    } catch (...) {  // memory has run out: for the session's thread to say
      if (!lock.owns_lock()) lock.lock();
      bug_ = std::current_exception();
    }
    lock.unlock();
    wake_();
  }
}

}  // namespace kvcast::player
