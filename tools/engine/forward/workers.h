// A few threads that share a list of independent tasks.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace kvcast::engine {

class Workers {
 public:
  // `threads` of them, the caller of run() being one.
  explicit Workers(unsigned threads);
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  unsigned count() const { return static_cast<unsigned>(threads_.size()) + 1; }

  // Calls task(i, worker) once for each i < tasks, worker < count() being whoever does it, and
  // returns when all are done. Tasks must not throw. One run at a time.
  using Task = std::function<void(size_t task, unsigned worker)>;
  void run(size_t tasks, const Task& task);

 private:
  void serve(unsigned worker);
  void take_tasks(std::unique_lock<std::mutex>& lock, unsigned worker);

  std::mutex mutex_;
  std::condition_variable work_, done_;
  const Task* task_ = nullptr;
  size_t tasks_ = 0, next_ = 0, unfinished_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kvcast::engine
