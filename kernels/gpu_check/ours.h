// Ours, measured: from compressed planes in device memory, or in pinned host memory, into a paged
// cache.
#pragma once

#include <vector>

#include "kernels/gpu_check/peers.h"
#include "kernels/gpu_check/work.h"

namespace kvcast::kernels::gpu_check {

// All chunks in one plan. `max_sms` 0: the whole device. Throws std::runtime_error when the cache
// does not hold what the host decodes.
Rate decode_ours(const BenchWork& work, uint32_t max_sms, int runs);

struct FromPinned {
  double seconds = 0;             // copies and decodes, chunk after chunk, on two streams
  double copy_seconds = 0;        // of the compressed bytes alone
  double last_chunk_seconds = 0;  // its decode alone
  double ratio() const { return seconds / (copy_seconds + last_chunk_seconds); }
};
FromPinned decode_from_pinned(const BenchWork& work, int runs);

}  // namespace kvcast::kernels::gpu_check
