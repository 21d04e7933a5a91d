#include "player/controller/rate_forecast.h"

#include <algorithm>
#include <cmath>

namespace kvcast::player {
namespace {

constexpr size_t kWindow = 5;
constexpr double kPriorLogSd = 0.6;
constexpr double kPriorSamples = 2;
constexpr double kAlike_s = 0.4;

double harmonic_mean(std::span<const RateSample> history) {
  const auto latest = history.last(std::min(history.size(), kWindow));
  double inverse = 0;
  for (const RateSample& sample : latest) inverse += 1 / std::max(1.0, sample.bytes_per_s());
  return inverse > 0 ? static_cast<double>(latest.size()) / inverse : 0;
}

}  // namespace

double last_rate(std::span<const RateSample> history) {
  return history.empty() ? 0 : history.back().bytes_per_s();
}

double moving_average(std::span<const RateSample> history, double half_life_s) {
  double mean = 0, seconds = 0;
  for (const RateSample& sample : history) {
    const double keep = std::exp2(-sample.seconds / half_life_s);
    mean = (1 - keep) * sample.bytes_per_s() + keep * mean;
    seconds += sample.seconds;
  }
  return seconds > 0 ? mean / (1 - std::exp2(-seconds / half_life_s)) : 0;
}

double robust_harmonic_mean(std::span<const RateSample> history) {
  double worst = 0;
  const size_t first = history.size() - std::min(history.size(), kWindow);
  for (size_t i = std::max<size_t>(first, 1); i < history.size(); ++i) {
    const double rate = std::max(1.0, history[i].bytes_per_s());
    worst = std::max(worst, std::abs(harmonic_mean(history.first(i)) - rate) / rate);
  }
  return harmonic_mean(history) / (1 + worst);
}

double bytes_with_confidence(std::span<const RateSample> history, double seconds, double z) {
  if (history.empty() || seconds <= 0) return 0;
  const auto count = static_cast<double>(history.size());
  double mean = 0, squares = 0;
  for (const RateSample& sample : history) {
    mean += std::log(std::max(1.0, sample.bytes_per_s())) / count;
  }
  for (const RateSample& sample : history) {
    const double off = std::log(std::max(1.0, sample.bytes_per_s())) - mean;
    squares += off * off;
  }
  const double variance = (kPriorSamples * kPriorLogSd * kPriorLogSd + squares) /
                          (kPriorSamples + count) * (1 + 1 / (4 * (1 + count)));
  return seconds * std::exp(mean - z * std::sqrt(variance / (1 + seconds / kAlike_s)));
}

}  // namespace kvcast::player
