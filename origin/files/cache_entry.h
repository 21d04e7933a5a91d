// What a read-through cache and the sessions tell each other of a file, without locks.
#pragma once

#include <atomic>
#include <cstdint>

namespace kvcast::origin {

struct CacheEntry {
  std::atomic<int64_t> used_s = 0;     // of a monotonic clock
  std::atomic<int64_t> checked_s = 0;  // when the store was last asked; of what may change
};

}  // namespace kvcast::origin
