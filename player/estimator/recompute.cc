#include <algorithm>
#include <cmath>

#include "player/estimator.h"

namespace kvcast::player {
namespace {

constexpr size_t kMostSamples = 64;  // the newest count
constexpr double kForget = 0.85;     // weight of a sample against the next: machines change
constexpr size_t kLatest = 8;        // of slowdown(): what the machine is like now

// Thousands of tokens and millions of token positions, so that the features are of one size.
void features_of(uint64_t begin, uint64_t end, double (&features)[3]) {
  const double n = static_cast<double>(end - begin) / 1e3;
  const double position = static_cast<double>(begin) / 1e3 + n / 2;
  features[0] = 1;
  features[1] = n;
  features[2] = n * position;
}

void coefficients_of(const RecomputeCost& cost, double (&coefficients)[3]) {
  coefficients[0] = cost.per_call_s;
  coefficients[1] = cost.per_token_s * 1e3;
  coefficients[2] = cost.per_token_position_s * 1e6;
}

double dot(const double (&a)[3], const double (&b)[3]) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

}  // namespace

RecomputeEstimator::RecomputeEstimator(std::optional<RecomputeCost> engines,
                                       std::optional<RecomputeCost> learned)
    : has_said_(engines.has_value()), has_prior_(engines || learned) {
  if (engines) coefficients_of(*engines, said_);
  if (engines && learned) {
    coefficients_of(mean_of(*engines, *learned), prior_);
  } else if (has_prior_) {
    coefficients_of(engines ? *engines : *learned, prior_);
  }
  std::copy(std::begin(prior_), std::end(prior_), std::begin(cost_));
}

std::optional<RecomputeCost> RecomputeEstimator::measured() const {
  if (samples_.empty()) return std::nullopt;
  return RecomputeCost{cost_[0], cost_[1] * 1e-3, cost_[2] * 1e-6};
}

void RecomputeEstimator::add(uint64_t begin, uint64_t end, double seconds) {
  Sample sample{{}, seconds, 1};
  features_of(begin, end, sample.features);
  if (samples_.size() == kMostSamples) samples_.erase(samples_.begin());
  if (samples_.empty() && !has_prior_) prior_[1] = seconds / sample.features[1];
  for (Sample& older : samples_) older.weight *= kForget;
  samples_.push_back(sample);
  solve();
}

// Steps of single-coordinate least squares, clamped at zero: costs are never negative, and three
// coordinates converge in a few rounds. Each is pulled to its prior as by one typical sample.
void RecomputeEstimator::solve() {
  constexpr int kRounds = 50;
  double pull[3] = {}, weights = 0;
  for (const Sample& sample : samples_) {
    weights += sample.weight;
    for (int k = 0; k < 3; ++k) {
      pull[k] += sample.weight * sample.features[k] * sample.features[k];
    }
  }
  for (double& each : pull) each /= weights * (has_prior_ ? 1.0 : 20.0);
  for (int round = 0; round < kRounds; ++round) {
    for (int k = 0; k < 3; ++k) {
      double above = pull[k] * prior_[k], below = pull[k];
      for (const Sample& sample : samples_) {
        const double feature = sample.features[k];
        const double rest = sample.seconds - dot(sample.features, cost_) + feature * cost_[k];
        above += sample.weight * feature * rest;
        below += sample.weight * feature * feature;
      }
      cost_[k] = below > 0 ? std::max(0.0, above / below) : 0;
    }
  }
}

double RecomputeEstimator::slowdown() const {
  if (!has_said_ || samples_.empty()) return 1;
  const size_t count = std::min(samples_.size(), kLatest);
  double sum = 0, squares = 0;
  for (size_t i = samples_.size() - count; i < samples_.size(); ++i) {
    const double expected = dot(samples_[i].features, said_);
    const double ratio = expected > 0 ? samples_[i].seconds / expected : 1;
    sum += ratio;
    squares += ratio * ratio;
  }
  const double mean = sum / static_cast<double>(count);
  const double variance = std::max(0.0, squares / static_cast<double>(count) - mean * mean);
  return std::max(1.0, mean + std::sqrt(variance));
}

double RecomputeEstimator::seconds(uint64_t begin, uint64_t end) const {
  double features[3];
  features_of(begin, end, features);
  return dot(features, cost_);
}

}  // namespace kvcast::player
