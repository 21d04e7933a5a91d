#include "tools/engine/forward/workers.h"

namespace kvcast::engine {

Workers::Workers(unsigned threads) {
  for (unsigned worker = 1; worker < threads; ++worker) {
    threads_.emplace_back([this, worker] { serve(worker); });
  }
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Workers::run(size_t tasks, const Task& task) {
  std::unique_lock lock(mutex_);
  task_ = &task;
  tasks_ = unfinished_ = tasks;
  next_ = 0;
  if (tasks > 1) work_.notify_all();
  take_tasks(lock, 0);
  done_.wait(lock, [this] { return unfinished_ == 0; });
}

void Workers::serve(unsigned worker) {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return closing_ || next_ < tasks_; });
    if (closing_) return;
    take_tasks(lock, worker);
  }
}

void Workers::take_tasks(std::unique_lock<std::mutex>& lock, unsigned worker) {
  while (next_ < tasks_) {
    const size_t mine = next_++;
    lock.unlock();
    (*task_)(mine, worker);
    lock.lock();
    if (--unfinished_ == 0) done_.notify_one();
  }
}

}  // namespace kvcast::engine
