#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/rope.h"

namespace kvcast::kernels {
namespace {

using Rule = RopeScaling::Rule;

void divide(std::vector<double>& frequencies, double factor) {
  for (double& frequency : frequencies) frequency /= factor;
}

// Wavelengths that the trained positions hold fewer than low_freq_factor times are stretched by
// `factor`, those that fit high_freq_factor times kept, those between blended.
void scale_as_llama3(const RopeScaling& scaling, std::vector<double>& frequencies) {
  for (double& frequency : frequencies) {
    const double turns = scaling.trained_positions * frequency / (2 * std::numbers::pi);
    const double smooth = std::clamp(
        (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor),
        0.0, 1.0);
    frequency = (1 - smooth) * frequency / scaling.factor + smooth * frequency;
  }
}

// Contexts longer than the trained positions are met by a larger base.
double dynamic_theta(const RopeScaling& scaling, double theta, uint32_t rotary_dims) {
  const double tokens = std::max(scaling.context_tokens, scaling.trained_positions);
  const double stretch = scaling.factor * tokens / scaling.trained_positions - (scaling.factor - 1);
  return theta * std::pow(stretch, rotary_dims / (rotary_dims - 2.0));
}

// Between the dims that turn beta_fast and beta_slow times within the trained positions, a ramp
// from the frequency as it was to the frequency divided by `factor`.
void scale_as_yarn(const RopeScaling& scaling, double theta, uint32_t rotary_dims,
                   std::vector<double>& frequencies) {
  const auto dim_that_turns = [&](double times) {
    return rotary_dims * std::log(scaling.trained_positions / (times * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  double low = dim_that_turns(scaling.beta_fast), high = dim_that_turns(scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, rotary_dims - 1.0);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / scaling.factor * ramp + frequencies[i] * (1 - ramp);
  }
}

double yarn_attention(const RopeScaling& scaling) {
  const auto magnitude = [&](double mscale) {
    return scaling.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(scaling.factor) + 1.0;
  };
  if (scaling.mscale > 0 && scaling.mscale_all_dim > 0)
    return magnitude(scaling.mscale) / magnitude(scaling.mscale_all_dim);
  return magnitude(1.0);
}

void scale_as_longrope(const RopeScaling& scaling, std::vector<double>& frequencies) {
  const bool is_long = scaling.context_tokens > scaling.trained_positions;
  const std::vector<double>& factors = is_long ? scaling.long_factor : scaling.short_factor;
  for (size_t i = 0; i < std::min(frequencies.size(), factors.size()); ++i)
    frequencies[i] /= factors[i];
}

double longrope_attention(const RopeScaling& scaling) {
  if (scaling.factor <= 1) return 1;
  return std::sqrt(1 + std::log(scaling.factor) / std::log(scaling.trained_positions));
}

}  // namespace

RopeFrequencies scaled_frequencies(double theta, uint32_t rotary_dims, const RopeScaling& scaling) {
  const double base =
      scaling.rule == Rule::kDynamic ? dynamic_theta(scaling, theta, rotary_dims) : theta;
  RopeFrequencies result{rope_frequencies(base, rotary_dims), 1.0};
  switch (scaling.rule) {
    case Rule::kNone:
    case Rule::kDynamic:
      break;
    case Rule::kLinear:
      divide(result.inv_freq, scaling.factor);
      break;
    case Rule::kLlama3:
      scale_as_llama3(scaling, result.inv_freq);
      break;
    case Rule::kYarn:
      scale_as_yarn(scaling, theta, rotary_dims, result.inv_freq);
      result.attention_scaling = scaling.attention_factor.value_or(yarn_attention(scaling));
      break;
    case Rule::kLongRope:
      scale_as_longrope(scaling, result.inv_freq);
      result.attention_scaling = scaling.attention_factor.value_or(longrope_attention(scaling));
      break;
  }
  return result;
}

}  // namespace kvcast::kernels
