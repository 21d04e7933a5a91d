// The inverse of the standard normal distribution function.
#pragma once

namespace kvcast::player {

// 0 < p < 1, clamped to [1e-6, 1 - 1e-6]. Error below 1e-3 (Abramowitz and Stegun 26.2.23: 4.5e-4).
double normal_quantile(double p);

}  // namespace kvcast::player
