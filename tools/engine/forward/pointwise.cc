#include "tools/engine/forward/pointwise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace kvcast::engine {
namespace {

constexpr size_t kLanes = 16;  // independent partial results: a widest vector register's worth

// Cephes' expf without branches: x = n ln 2 + r, e^r by a polynomial, 2^n by the exponent bits.
inline float exp_of(float x) {
  constexpr float kRoundingMagic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float bounded = std::min(std::max(x, -87.3f), 88.0f);
  const float n = (bounded * 1.44269504f + kRoundingMagic) - kRoundingMagic;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float e = p * r * r + r + 1.0f;
  return e * std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
}

}  // namespace

void rms_norm(std::span<const float> from, std::span<const float> weight, float epsilon,
              float* to) {
  double squares = 0;
  for (const float x : from) squares += static_cast<double>(x) * x;
  const float scale =
      static_cast<float>(1.0 / std::sqrt(squares / static_cast<double>(from.size()) + epsilon));
  for (size_t i = 0; i < from.size(); ++i) to[i] = from[i] * scale * weight[i];
}

void silu_multiply(std::span<float> gate, const float* up) {
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = gate[i] / (1.0f + exp_of(-gate[i])) * up[i];
}

float exp_shifted(std::span<float> values, float shift) {
  for (float& value : values) value = exp_of(value - shift);
  float sums[kLanes] = {};
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += values[i + lane];
  }
  for (size_t i = whole; i < values.size(); ++i) sums[i - whole] += values[i];
  float sum = 0;
  for (const float lane : sums) sum += lane;
  return sum;
}

float largest(std::span<const float> values) {
  float best[kLanes];
  std::fill(best, best + kLanes, values[0]);
  const size_t whole = values.size() / kLanes * kLanes;
  for (size_t i = 0; i < whole; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      best[lane] = std::max(best[lane], values[i + lane]);
  }
  for (size_t i = whole; i < values.size(); ++i) best[0] = std::max(best[0], values[i]);
  return *std::max_element(best, best + kLanes);
}

}  // namespace kvcast::engine
