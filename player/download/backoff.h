// How long to pause before an attempt that follows a failure. Pure but for the generator handed in.
// Exponential with equal jitter, so that players that failed together do not come back together:
// https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
#pragma once

#include <cstdint>
#include <optional>
#include <random>

#include "player/download.h"

namespace kvcast::player {

// Uniform in [0, 1), the same on every standard library.
double uniform(std::mt19937_64& random);

// `failures` in a row, at least 1. Between half and all of backoff_first * 2^(failures - 1), at
// most backoff_most, and while a deadline lies ahead at most its share of the time left (or 5 ms).
int64_t pause_ns(const DownloaderParams& params, uint32_t failures,
                 std::optional<int64_t> deadline_ns, int64_t now_ns, std::mt19937_64& random);

}  // namespace kvcast::player
