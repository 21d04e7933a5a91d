#include "kernels/statistics/moments.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvcast::kernels {
namespace {

constexpr double kEnoughTokens = 32;
constexpr double kLeastOfMean = 0x1p-12;    // beside the mean: below the last place of 16-bit types
constexpr double kLeastOfOthers = 0x1p-10;  // beside the root mean square of all channels
constexpr double kLeast = 1e-30;            // keeps divisions by a scale out of the subnormals
constexpr double kMost = 1e30;              // and products with a coefficient finite

}  // namespace

Moments measure_moments(std::span<const float> x, uint32_t tokens, uint32_t channels,
                        bool few_tokens) {
  std::vector<double> sum(channels), deviation(channels);
  double squares = 0;
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < channels; ++c) sum[c] += double{x[t * channels + c]};
  }
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t c = 0; c < channels; ++c) {
      const double value = x[t * channels + c];
      const double from_mean = value - sum[c] / tokens;
      deviation[c] += from_mean * from_mean;
      squares += value * value;
    }
  }
  const double second_moment = squares / tokens / channels;
  const double prior = few_tokens ? 1 : std::max(0.0, 1 - (tokens - 1) / kEnoughTokens);
  Moments moments;
  for (size_t c = 0; c < channels; ++c) {
    const double mean = (1 - prior) * sum[c] / tokens;
    const double variance = (1 - prior) * deviation[c] / tokens + prior * second_moment;
    const double least = std::max(
        {kLeast, kLeastOfMean * std::fabs(mean), kLeastOfOthers * std::sqrt(second_moment)});
    const double scale = second_moment > 0 ? std::max(std::sqrt(variance), least) : 1;
    moments.mean.push_back(static_cast<float>(mean));
    moments.scale.push_back(static_cast<float>(std::min(scale, kMost)));
  }
  return moments;
}

}  // namespace kvcast::kernels
