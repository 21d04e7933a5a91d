// Encoding on the device: against scalar, and measured.
#pragma once

#include "kernels/gpu_check/matrix.h"
#include "kernels/gpu_check/peers.h"
#include "kernels/gpu_check/work.h"

namespace kvcast::kernels::gpu_check {

// The bytes that encode_section() writes, of random sections. On CUDA device 0.
CheckResult check_encoding(uint32_t sections, uint32_t seed);

// All chunks of the work's KV, from a paged cache to sections in device memory; the host's cutting
// of streams between the steps is counted.
Rate encode_ours(const BenchWork& work, int runs);

}  // namespace kvcast::kernels::gpu_check
