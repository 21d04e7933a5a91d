#include "packager/work/task_order.h"

#include <thread>
#include <utility>
#include <vector>

namespace kvcast::packager {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Status;

TaskOrder::TaskOrder(size_t tasks, std::stop_token stop)
    : tasks_(tasks), stop_(std::move(stop)), failed_task_(tasks) {}

std::optional<size_t> TaskOrder::take() {
  const std::lock_guard lock(mutex_);
  if (next_ == tasks_ || error_ || bug_ || stop_.stop_requested()) return std::nullopt;
  return next_++;
}

bool TaskOrder::enter(size_t task) {
  std::unique_lock lock(mutex_);
  // Tasks are taken in order, so every task before this one is in some worker's hands: no deadlock.
  turn_.wait(lock, [&] { return accepted_ == task || failed_task_ < task || bug_; });
  return accepted_ == task && !bug_;
}

void TaskOrder::leave(size_t task) {
  const std::lock_guard lock(mutex_);
  accepted_ = task + 1;
  turn_.notify_all();
}

void TaskOrder::fail(size_t task, Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_ || task < failed_task_) {
    failed_task_ = task;
    error_ = std::move(error);
  }
  turn_.notify_all();
}

void TaskOrder::fail(std::exception_ptr bug) {
  const std::lock_guard lock(mutex_);
  if (!bug_) bug_ = std::move(bug);
  turn_.notify_all();
}

Status TaskOrder::result() const {
  const std::lock_guard lock(mutex_);
  if (bug_) std::rethrow_exception(bug_);
  if (error_) return *error_;
  if (accepted_ < tasks_) {
    return Error{ErrorKind::kIo,
                 "stopped before the manifest was written: nothing was published, and the objects "
                 "that are complete will be reused by the next run"};
  }
  return {};
}

void run_workers(uint32_t threads, TaskOrder& order, const std::function<void()>& worker) {
  const auto guarded = [&] {
    try {
      worker();
    } catch (...) {
      order.fail(std::current_exception());
    }
  };
  std::vector<std::jthread> others;
  for (uint32_t i = 1; i < threads; ++i) others.emplace_back(guarded);
  guarded();
}

}  // namespace kvcast::packager
