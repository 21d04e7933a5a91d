#include "tools/eval/bit_allocation.h"

#include <queue>

namespace kvcast::eval {
namespace {

constexpr double kStep[] = {0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308};
constexpr double kDistortion[] = {1,       0.3634,  0.1188,   0.03744,  0.01154,
                                  0.00349, 0.00104, 0.000304, 0.0000877};

}  // namespace

double gauss_step(uint32_t bits) {
  return kStep[bits];
}

double gauss_distortion(uint32_t bits) {
  return kDistortion[bits];
}

std::vector<uint8_t> allocate_bits(std::span<const double> variance, uint64_t budget) {
  struct Gain {
    double gain;
    size_t component;
    bool operator<(const Gain& other) const {
      return gain != other.gain ? gain < other.gain : component > other.component;
    }
  };
  std::vector<uint8_t> bits(variance.size());
  const auto gain_of = [&](size_t i) {
    return Gain{variance[i] * (kDistortion[bits[i]] - kDistortion[bits[i] + 1]), i};
  };
  std::priority_queue<Gain> gains;
  for (size_t i = 0; i < variance.size(); ++i) gains.push(gain_of(i));
  for (; budget > 0 && !gains.empty(); --budget) {
    const size_t i = gains.top().component;
    gains.pop();
    if (++bits[i] < kMostBits) gains.push(gain_of(i));
  }
  return bits;
}

}  // namespace kvcast::eval
