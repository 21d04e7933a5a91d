// When a request to a remote store is worth another try, and how long to wait before. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace kvcast::manifests {

struct RetryPolicy {
  unsigned attempts = 6;  // in all
  std::chrono::milliseconds first_delay{200}, max_delay{10'000};
  std::chrono::milliseconds max_retry_after{30'000};  // a server that asks for more is given up
};

bool is_retryable_status(int status);

// Before attempt number `next` (1: the second). "Full jitter": anything up to a limit that doubles,
// so that clients that failed together do not come back together; at least what the server asked
// for, a quarter of the limit on top of it. `random`: any 32 bits. Nothing: give up.
std::optional<std::chrono::milliseconds> retry_delay(
    const RetryPolicy& policy, unsigned next, std::optional<std::chrono::seconds> retry_after,
    uint32_t random);

}  // namespace kvcast::manifests
