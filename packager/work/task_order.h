// Hands out numbered tasks in order and lets their results be accepted in the same order, whichever
// worker is done first. Every worker runs
//   while (auto i = order.take()) { produce i; if (order.enter(*i)) { accept i; order.leave(*i); }
//   }
// so that each holds one result at most. All calls are thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>

#include "manifests/result.h"

namespace kvcast::packager {

class TaskOrder {
 public:
  TaskOrder(size_t tasks, std::stop_token stop);

  // The next task; none when all are taken, one has failed or a stop was asked for.
  std::optional<size_t> take();
  // Waits until all tasks before `task` were accepted. False: one of them failed, drop the result.
  bool enter(size_t task);
  void leave(size_t task);
  // Of several failures the one of the lowest task is kept: the same at any number of threads.
  void fail(size_t task, manifests::Error error);
  void fail(std::exception_ptr bug);

  // When all workers have returned. Rethrows a worker's exception.
  manifests::Status result() const;

 private:
  const size_t tasks_;
  const std::stop_token stop_;
  mutable std::mutex mutex_;
  std::condition_variable turn_;
  size_t next_ = 0;  // to take
  size_t accepted_ = 0;
  size_t failed_task_;  // tasks_: none
  std::optional<manifests::Error> error_;
  std::exception_ptr bug_;
};

// Runs `worker` on `threads` threads, this one included, until all return.
void run_workers(uint32_t threads, TaskOrder& order, const std::function<void()>& worker);

}  // namespace kvcast::packager
