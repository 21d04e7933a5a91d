#include "kernels/statistics/frequencies.h"

#include <algorithm>
#include <numeric>

#include "kernels/profile.h"

namespace kvcast::kernels {
namespace {

// The symbol that gains the most (grow) or loses the least (shrink) when its frequency changes by
// one: the derivative of weight * log(frequency), half a step on.
size_t best_step(std::span<const double> weights, std::span<const uint16_t> frequencies,
                 bool grow) {
  size_t best = weights.size();
  double best_value = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0) || (!grow && frequencies[i] == 1)) continue;
    const double value = weights[i] / (frequencies[i] + (grow ? 0.5 : -0.5));
    if (best == weights.size() || (grow ? value > best_value : value < best_value)) {
      best = i;
      best_value = value;
    }
  }
  return best;
}

}  // namespace

std::vector<uint16_t> to_frequencies(std::span<const double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<uint16_t> frequencies(weights.size(), 0);
  uint32_t used = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0)) continue;
    const double share = weights[i] / sum * kProbabilityScale;
    frequencies[i] = static_cast<uint16_t>(std::max(share, 1.0));
    used += frequencies[i];
  }
  for (; used < kProbabilityScale; ++used) ++frequencies[best_step(weights, frequencies, true)];
  for (; used > kProbabilityScale; --used) --frequencies[best_step(weights, frequencies, false)];
  return frequencies;
}

}  // namespace kvcast::kernels
