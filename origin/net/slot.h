// Something shared that can be replaced while it is used: a certificate, a set of keys. Whoever got
// one keeps it; who comes later gets the new one. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace kvcast::origin {

template <typename T>
class Slot {
 public:
  explicit Slot(std::shared_ptr<T> content) : content_(std::move(content)) {}
  std::shared_ptr<T> get() const {
    const std::lock_guard lock(mutex_);
    return content_;
  }
  void set(std::shared_ptr<T> content) {
    const std::lock_guard lock(mutex_);
    content_.swap(content);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<T> content_;  // may be null
};

}  // namespace kvcast::origin
