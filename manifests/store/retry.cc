#include "manifests/store/retry.h"

#include <algorithm>

namespace kvcast::manifests {

using std::chrono::milliseconds;

bool is_retryable_status(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::optional<milliseconds> retry_delay(const RetryPolicy& policy, unsigned next,
                                        std::optional<std::chrono::seconds> retry_after,
                                        uint32_t random) {
  if (next >= policy.attempts) return {};
  if (retry_after && *retry_after > policy.max_retry_after) return {};
  milliseconds limit = policy.first_delay;
  for (unsigned i = 1; i < next && limit < policy.max_delay; ++i) limit *= 2;
  limit = std::min(limit, policy.max_delay);
  const auto share = [&](milliseconds whole) {
    return milliseconds(whole.count() * static_cast<int64_t>(random >> 8) >> 24);
  };
  if (!retry_after) return share(limit);
  return milliseconds(*retry_after) + share(limit / 4);
}

}  // namespace kvcast::manifests
