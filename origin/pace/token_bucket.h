// One link shared by all connections: who may send how many bytes, and when.
//
// The trace's integral A(t) is what the link has carried by t. The bucket keeps G, the bytes
// promised so far. A sender that was ready at time r is promised the next n bytes: G becomes max(G,
// A(r)) + n, and they may be handed to the kernel once A(t) reaches it. So capacity that nobody was
// ready to use is lost, as on a real link; nobody bursts; a sender that woke late asks with the
// time at which it should have woken, and the average rate stays exact; and senders take turns by
// quantum.
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>

#include "origin/trace.h"

namespace kvcast::origin {

using PaceClock = std::chrono::steady_clock;

struct Grant {
  size_t bytes = 0;  // 1 to what was wanted
  PaceClock::time_point when =
      PaceClock::time_point::max();  // max: never, the trace ends in an outage
};

// Thread-safe. Time comes with each call.
class TokenBucket {
 public:
  // What the link carries in this time is the most that one grant holds.
  static constexpr double kQuantumSeconds = 0.004;
  static constexpr size_t kMaxQuantumBytes = 256u << 10;

  explicit TokenBucket(Trace trace) : trace_(std::move(trace)) {}

  // Starts the trace's clock; later calls change nothing.
  void start(PaceClock::time_point now);

  // Up to `wanted` (> 0) bytes for a sender ready since `ready`. Starts the clock if nothing did. A
  // promise holds even if the sender then goes away: at most one quantum is lost to it.
  Grant reserve(size_t wanted, PaceClock::time_point ready);

 private:
  const Trace trace_;
  std::mutex mutex_;
  std::optional<PaceClock::time_point> started_;
  double promised_bytes_ = 0;
};

}  // namespace kvcast::origin
