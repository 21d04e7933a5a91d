#include "tools/engine/backward/derivatives.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tools/engine/forward/pointwise.h"

namespace kvcast::engine {

void add_rms_norm_gradient(std::span<const float> from, std::span<const float> weight,
                           float epsilon, const float* gradient, float* to) {
  double squares = 0, along = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    squares += double{from[i]} * double{from[i]};
    along += double{from[i]} * double{weight[i]} * double{gradient[i]};
  }
  const auto size = static_cast<double>(from.size());
  const double inverse = 1 / std::sqrt(squares / size + double{epsilon});
  const double shrink = along * inverse * inverse / size;
  for (size_t i = 0; i < from.size(); ++i) {
    to[i] += static_cast<float>(
        inverse * (double{weight[i]} * double{gradient[i]} - shrink * double{from[i]}));
  }
}

void silu_multiply_gradient(std::span<float> gate, float* up, const float* gradient) {
  for (size_t i = 0; i < gate.size(); ++i) {
    const float sigmoid = 1 / (1 + std::exp(-gate[i]));
    const float silu = gate[i] * sigmoid;
    const float of_gate = gradient[i] * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
    up[i] = gradient[i] * silu;
    gate[i] = of_gate;
  }
}

void softmax(std::span<float> scores, size_t valid) {
  const auto seen = scores.first(valid);
  const float sum = exp_shifted(seen, largest(seen));
  for (float& p : seen) p /= sum;
  std::fill(scores.begin() + static_cast<std::ptrdiff_t>(valid), scores.end(), 0.0f);
}

void softmax_gradient(std::span<const float> probabilities, float* gradient) {
  const double mean = std::inner_product(probabilities.begin(), probabilities.end(), gradient, 0.0);
  for (size_t i = 0; i < probabilities.size(); ++i) {
    gradient[i] = probabilities[i] * (gradient[i] - static_cast<float>(mean));
  }
}

}  // namespace kvcast::engine
