#include "player/estimator.h"

#include <algorithm>

namespace kvcast::player {
namespace {

constexpr double kMemorySeconds = 1.0;  // of decoding; older rates fade

}  // namespace

void DecodeEstimator::add(double work, double thread_seconds) {
  const double keep = kMemorySeconds / (kMemorySeconds + std::max(0.0, thread_seconds));
  work_ = work_ * keep + work;
  seconds_ = seconds_ * keep + thread_seconds;
}

double DecodeEstimator::seconds(double work, uint32_t threads) const {
  if (work_ <= 0) return 0;
  return work * seconds_ / work_ / std::max(1u, threads);
}

}  // namespace kvcast::player
