#include "player/estimator.h"

#include <algorithm>

namespace kvcast::player {
namespace {

constexpr double kMemorySeconds = 1.0;  // of decoding; older rates fade
constexpr double kPriorSeconds = 0.05;  // of decoding that a sharp prior counts as
constexpr double kSharpLogSd = 0.3;     // twice as wide, and it counts a fifth
constexpr double kLeastSeconds = 1e-3;  // of decoding: less measures the clock
constexpr double kMeasuredLogSd = 0.1;  // one play's rate against the next one's

}  // namespace

void DecodeEstimator::set_prior(const Spread& seconds_per_work) {
  if (seconds_per_work.median <= 0) return;
  const double width = seconds_per_work.log_sd / kSharpLogSd;
  prior_seconds_ = kPriorSeconds / (1 + width * width);
  prior_work_ = prior_seconds_ / seconds_per_work.median;
}

void DecodeEstimator::add(double work, double thread_seconds) {
  const double keep = kMemorySeconds / (kMemorySeconds + std::max(0.0, thread_seconds));
  work_ = work_ * keep + work;
  seconds_ = seconds_ * keep + thread_seconds;
}

double DecodeEstimator::seconds(double work, uint32_t threads) const {
  const double known = work_ + prior_work_;
  if (known <= 0) return 0;
  return work * (seconds_ + prior_seconds_) / known / std::max(1u, threads);
}

Spread DecodeEstimator::measured() const {
  if (work_ <= 0 || seconds_ < kLeastSeconds) return {};
  return {seconds_ / work_, kMeasuredLogSd};
}

}  // namespace kvcast::player
