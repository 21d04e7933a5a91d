#include <algorithm>
#include <cmath>

#include "player/estimator/normal.h"
#include "player/throughput.h"

namespace kvcast::player {
namespace {

constexpr double kInitialWindowBytes = 14'600;  // ten segments
// Rates a tenth of a second apart are hardly alike any more, but never average out for good.
constexpr double kAlike_s = 0.1;
constexpr double kLeastShare = 0.1;

}  // namespace

double Spread::quantile(double p) const {
  return median * std::exp(log_sd * normal_quantile(p));
}

double LinkForecast::seconds_for(uint64_t bytes, double quantile) const {
  if (rate_bytes_per_s.median <= 0) return 0;
  double left = static_cast<double>(bytes);
  const double usual_s = left / rate_bytes_per_s.median;
  const double share = std::clamp(kAlike_s / std::max(usual_s, kAlike_s), kLeastShare, 1.0);
  const Spread average{rate_bytes_per_s.median, rate_bytes_per_s.log_sd * std::sqrt(share)};
  const double rate = average.quantile(1 - quantile);
  double seconds = ttfb_s.quantile(quantile);
  double window = kInitialWindowBytes + static_cast<double>(carried_bytes);
  while (rtt_s > 0 && left > window && window < rate * rtt_s) {
    seconds += rtt_s;
    left -= window;
    window *= 2;
  }
  return seconds + left / rate;
}

}  // namespace kvcast::player
