#include <algorithm>
#include <cmath>

#include "player/throughput.h"

namespace kvcast::player {
namespace {

constexpr double kPriorWeight = 3;    // samples
constexpr double kMostWeight = 15;    // the newest sample counts for a sixteenth in the long run
constexpr double kMeanWeight = 0.25;  // of the newest sample in the mean
constexpr double kFirstLogSd = 0.35;  // after one sample: p95 at 1.8 times the median
constexpr double kLeastSeconds = 1e-6;

}  // namespace

void LatencyEstimator::set_prior(const Spread& seconds) {
  if (samples_ > 0 || seconds.median <= 0) return;
  prior_ = seconds;
  log_mean_ = std::log(std::max(seconds.median, kLeastSeconds));
  log_variance_ = seconds.log_sd * seconds.log_sd;
  weight_ = kPriorWeight;
}

void LatencyEstimator::add(double seconds) {
  const double sample = std::log(std::max(seconds, kLeastSeconds));
  mean_s_ = samples_++ == 0 ? seconds : mean_s_ + kMeanWeight * (seconds - mean_s_);
  if (weight_ == 0) {
    log_mean_ = sample;
    log_variance_ = kFirstLogSd * kFirstLogSd;
    weight_ = 1;
    return;
  }
  const double share = 1 / (weight_ + 1);
  const double off = sample - log_mean_;
  log_mean_ += share * off;
  log_variance_ = (1 - share) * (log_variance_ + share * off * off);
  weight_ = std::min(weight_ + 1, kMostWeight);
}

Spread LatencyEstimator::spread() const {
  if (weight_ == 0) return {};
  return {std::exp(log_mean_), std::sqrt(log_variance_)};
}

}  // namespace kvcast::player
