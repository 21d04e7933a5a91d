// One session's wait for a fetch, which another thread ends.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "origin/net/asio.h"
#include "origin/through/read_through.h"

namespace kvcast::origin {

// The session holds one, and asks on its own thread; `finish` may be called by any thread, also
// when the session and its event loop are no more.
class Waiter {
 public:
  // Both outlive the waiter, or its close().
  explicit Waiter(asio::steady_timer& timer) : state_(std::make_shared<State>()) {
    state_->timer = &timer;
  }
  ~Waiter() {
    const std::lock_guard lock(state_->mutex);
    state_->timer = nullptr;
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  ReadThrough::Done callback() {
    return [state = state_](ReadThrough::Outcome outcome) {
      const std::lock_guard lock(state->mutex);
      state->outcome = outcome;
      if (state->timer == nullptr) return;
      // Posted while the timer is known to live, and with it the loop.
      asio::post(state->timer->get_executor(), [state] {
        const std::lock_guard again(state->mutex);
        if (state->timer != nullptr) state->timer->cancel();
      });
    };
  }
  std::optional<ReadThrough::Outcome> outcome() const {
    const std::lock_guard lock(state_->mutex);
    return state_->outcome;
  }

 private:
  struct State {
    std::mutex mutex;
    asio::steady_timer* timer = nullptr;  // null: nobody waits any more
    std::optional<ReadThrough::Outcome> outcome;
  };
  std::shared_ptr<State> state_;
};

}  // namespace kvcast::origin
