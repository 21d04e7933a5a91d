#include "player/throughput.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::player {
namespace {

constexpr uint64_t kLeastBytes = 16384;  // less says more about buffers than about the link
constexpr double kLeastSeconds = 0.002;
constexpr double kPriorSeconds = 0.05;
constexpr double kWindow_s = 0.02;
constexpr double kWindowWeight = 0.2;   // of the newest window in the spread
constexpr double kUnknownLogSd = 0.5;   // a link nothing is known of: within a factor 2.3 at 95%
constexpr double kCachedBytes = 65536;  // of the newest that make the share of cached bytes
constexpr double kMuted_s = 0.01;       // after a pause: buffers empty at memory speed

}  // namespace

std::string rate_text(double bytes_per_s) {
  if (bytes_per_s <= 0) return "an unknown rate";
  return fmt::format("{:.3g} MB/s", bytes_per_s * 1e-6);
}

ThroughputEstimator::ThroughputEstimator(double prior_bytes_per_s, double half_life_s)
    : half_life_s_(half_life_s) {
  set_prior({prior_bytes_per_s, kUnknownLogSd});
}

void ThroughputEstimator::set_prior(const Spread& rate) {
  if (knows(tiers_[0]) || knows(tiers_[1])) return;
  if (prior_.median > 0 && rate.log_sd > prior_.log_sd) return;
  prior_ = rate;
  const double narrow = kUnknownLogSd / std::max(kUnknownLogSd, rate.log_sd);
  for (TierState& tier : tiers_)
    tier.prior_s = rate.median > 0 ? kPriorSeconds * narrow * narrow : 0;
}

void ThroughputEstimator::let_pass(TierState& state, double passed_s) const {
  const double keep = std::exp2(-passed_s / half_life_s_);
  state.sums = {state.sums.bytes * keep, state.sums.seconds * keep + passed_s};
  state.prior_s *= keep;
}

ThroughputEstimator::TierState ThroughputEstimator::at(size_t tier, double now_s) const {
  TierState state = tiers_[tier];
  const double from_s = std::max(last_s_, muted_until_s_);
  if (state.receiving > 0 && !paused_ && now_s > from_s) let_pass(state, now_s - from_s);
  return state;
}

double ThroughputEstimator::advance(double now_s) {
  const double from_s = std::max(last_s_, muted_until_s_);
  last_s_ = std::max(last_s_, now_s);
  return paused_ ? 0 : std::max(0.0, now_s - from_s);
}

void ThroughputEstimator::pass(size_t tier, double passed_s) {
  if (tiers_[tier].receiving == 0) return;
  let_pass(tiers_[tier], passed_s);
  tiers_[tier].total_seconds += passed_s;
}

void ThroughputEstimator::body_begins(double now_s, Tier tier) {
  const double passed_s = advance(now_s);
  for (size_t t = 0; t < tiers_.size(); ++t) pass(t, passed_s);
  ++tiers_[index(tier)].receiving;
}

void ThroughputEstimator::data(double now_s, uint64_t bytes, Tier tier) {
  const bool muted = paused_ || now_s < muted_until_s_;
  const double passed_s = advance(now_s);
  pass(index(tier), passed_s);
  if (muted) return;
  TierState& state = tiers_[index(tier)];
  state.sums.bytes += static_cast<double>(bytes);
  state.total_bytes += bytes;
  add_to_window(bytes, passed_s);
  const double fresh = -std::expm1(-static_cast<double>(bytes) / kCachedBytes);
  cached_share_ += fresh * ((tier == Tier::kCache ? 1.0 : 0.0) - cached_share_);
}

void ThroughputEstimator::body_ends(double now_s, Tier tier) {
  const double passed_s = advance(now_s);
  for (size_t t = 0; t < tiers_.size(); ++t) pass(t, passed_s);
  uint32_t& receiving = tiers_[index(tier)].receiving;
  if (receiving > 0) --receiving;
}

void ThroughputEstimator::pause(double now_s) {
  const double passed_s = advance(now_s);
  for (size_t t = 0; t < tiers_.size(); ++t) pass(t, passed_s);
  paused_ = true;
}

void ThroughputEstimator::resume(double now_s) {
  if (!paused_) return;
  paused_ = false;
  last_s_ = std::max(last_s_, now_s);
  muted_until_s_ = now_s + kMuted_s;
}

void ThroughputEstimator::add_to_window(uint64_t bytes, double passed_s) {
  window_.bytes += static_cast<double>(bytes);
  window_.seconds += passed_s;
  if (window_.seconds < kWindow_s || window_.bytes < kLeastBytes) return;
  const double sample = std::log(window_.bytes / window_.seconds);
  window_ = {};
  if (windows_++ == 0) {
    log_mean_ = sample;
    log_variance_ = prior_.log_sd * prior_.log_sd;
    return;
  }
  const double off = sample - log_mean_;
  log_mean_ += kWindowWeight * off;
  log_variance_ = (1 - kWindowWeight) * (log_variance_ + kWindowWeight * off * off);
}

bool ThroughputEstimator::knows(const TierState& tier) const {
  return tier.total_bytes >= kLeastBytes && tier.total_seconds >= kLeastSeconds;
}

double ThroughputEstimator::bytes_per_s(double now_s, Tier tier) const {
  const TierState state = at(index(tier), now_s);
  const Sums& sums = state.sums;
  if (state.total_bytes < kLeastBytes || sums.seconds < kLeastSeconds) return 0;
  const double seen = sums.bytes / sums.seconds;
  if (state.prior_s <= 0 || seen <= 0) return seen;
  return seen * std::pow(prior_.median / seen, state.prior_s / (state.prior_s + sums.seconds));
}

double ThroughputEstimator::of_both(double origin, double cache) const {
  if (origin <= 0 || cache <= 0) return std::max(origin, cache);
  return 1 / (cached_share_ / cache + (1 - cached_share_) / origin);
}

double ThroughputEstimator::bytes_per_s(double now_s) const {
  const double origin = bytes_per_s(now_s, Tier::kOrigin);
  const double cache = bytes_per_s(now_s, Tier::kCache);
  return origin <= 0 && cache <= 0 ? prior_.median : of_both(origin, cache);
}

double ThroughputEstimator::measured_bytes_per_s(double now_s) const {
  const auto measured = [&](Tier tier) {
    const TierState state = at(index(tier), now_s);
    const bool known = state.total_bytes >= kLeastBytes && state.sums.seconds >= kLeastSeconds;
    return known ? state.sums.bytes / state.sums.seconds : 0;
  };
  return of_both(measured(Tier::kOrigin), measured(Tier::kCache));
}

Spread ThroughputEstimator::spread(double now_s) const {
  const double sd = windows_ == 0 ? prior_.log_sd : std::sqrt(log_variance_);
  return {bytes_per_s(now_s), sd};
}

double ThroughputEstimator::cached_share() const {
  return cached_share_;
}

}  // namespace kvcast::player
