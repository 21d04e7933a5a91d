#include <algorithm>
#include <cmath>

#include "player/estimator.h"

namespace kvcast::player {
namespace {

constexpr uint64_t kLeastBytes = 16384;  // less says more about buffers than about the link
constexpr double kLeastSeconds = 0.002;
constexpr double kTtfbWeight = 0.25;  // of the newest sample

}  // namespace

ThroughputEstimator::ThroughputEstimator(double prior_bytes_per_s, double half_life_s)
    : half_life_s_(half_life_s), prior_bytes_per_s_(prior_bytes_per_s) {}

ThroughputEstimator::Sums ThroughputEstimator::at(double now_s) const {
  if (receiving_ == 0 || now_s <= last_s_) return sums_;
  const double passed = now_s - last_s_;
  const double keep = std::exp2(-passed / half_life_s_);
  return {sums_.bytes * keep, sums_.seconds * keep + passed};
}

void ThroughputEstimator::body_begins(double now_s, double ttfb_s) {
  sums_ = at(now_s);
  last_s_ = now_s;
  ++receiving_;
  ttfb_s_ = ttfb_s_ == 0 ? ttfb_s : ttfb_s_ + kTtfbWeight * (ttfb_s - ttfb_s_);
}

void ThroughputEstimator::data(double now_s, uint64_t bytes) {
  sums_ = at(now_s);
  last_s_ = std::max(last_s_, now_s);
  sums_.bytes += static_cast<double>(bytes);
  total_bytes_ += bytes;
}

void ThroughputEstimator::body_ends(double now_s) {
  sums_ = at(now_s);
  last_s_ = now_s;
  if (receiving_ > 0) --receiving_;
}

double ThroughputEstimator::bytes_per_s(double now_s) const {
  const Sums sums = at(now_s);
  if (total_bytes_ < kLeastBytes || sums.seconds < kLeastSeconds) return prior_bytes_per_s_;
  return sums.bytes / sums.seconds;
}

}  // namespace kvcast::player
