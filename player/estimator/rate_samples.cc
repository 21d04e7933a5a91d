#include "player/estimator/rate_samples.h"

#include <algorithm>

namespace kvcast::player {
namespace {

constexpr size_t kMostSamples = 24;
constexpr double kLeastBytes = 16384, kLeast_s = 0.002;  // less is added to the next sample
constexpr double kTelling_s = 0.02;  // of receiving, after which an open sample counts

}  // namespace

void RateSamples::pass(double now_s) {
  if (receiving_ > 0) open_.seconds += std::max(0.0, now_s - last_s_);
  last_s_ = std::max(last_s_, now_s);
}

void RateSamples::body_begins(double now_s) {
  pass(now_s);
  ++receiving_;
}

void RateSamples::data(double now_s, double bytes) {
  pass(now_s);
  open_.bytes += bytes;
}

void RateSamples::body_ends(double now_s) {
  pass(now_s);
  if (receiving_ > 0) --receiving_;
  if (open_.bytes < kLeastBytes || open_.seconds < kLeast_s) return;
  if (samples_.size() == kMostSamples) samples_.pop_front();
  samples_.push_back(open_);
  open_ = {};
}

void RateSamples::latest(double now_s, std::vector<RateSample>& history) const {
  history.assign(samples_.begin(), samples_.end());
  RateSample open = open_;
  if (receiving_ > 0) open.seconds += std::max(0.0, now_s - last_s_);
  if (open.seconds >= kTelling_s) history.push_back(open);
}

}  // namespace kvcast::player
