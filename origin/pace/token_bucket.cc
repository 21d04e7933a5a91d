#include "origin/pace/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace kvcast::origin {
namespace {

using Seconds = std::chrono::duration<double>;

// Later than any run; longer waits would overflow the clock's 64 bits of nanoseconds.
constexpr double kNeverSeconds = 1e9;

}  // namespace

void TokenBucket::start(PaceClock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (!started_) started_ = now;
}

Grant TokenBucket::reserve(size_t wanted, PaceClock::time_point ready) {
  const std::lock_guard lock(mutex_);
  if (!started_) started_ = ready;
  const double ready_s = Seconds(ready - *started_).count();
  const double from = std::max(promised_bytes_, trace_.bytes_until(ready_s));
  // The quantum is measured where its first byte leaves: after an outage, not in it.
  const double begin_s = trace_.seconds_until(from + 1);
  if (!(begin_s < kNeverSeconds)) return Grant{1, PaceClock::time_point::max()};
  const double quantum =
      trace_.bytes_until(begin_s + kQuantumSeconds) - trace_.bytes_until(begin_s);

  Grant grant;
  grant.bytes = std::clamp<size_t>(static_cast<size_t>(quantum), 1, kMaxQuantumBytes);
  grant.bytes = std::min(grant.bytes, wanted);
  promised_bytes_ = from + static_cast<double>(grant.bytes);
  const double when_s = trace_.seconds_until(promised_bytes_);
  if (when_s < kNeverSeconds) {
    grant.when = *started_ + std::chrono::duration_cast<PaceClock::duration>(Seconds(when_s));
  }
  return grant;
}

}  // namespace kvcast::origin
