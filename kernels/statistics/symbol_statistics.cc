#include "kernels/statistics/symbol_statistics.h"

#include <cmath>
#include <vector>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

// Values near zero, nearly all of them, are counted first and expanded into symbols once a value.
ClassStatistics symbol_statistics(std::span<const float> y, float step, float rounding,
                                  uint32_t passes) {
  constexpr int32_t kCounted = 255;
  struct Bin {
    double weight = 0, position = 0;
  };
  std::vector<Bin> bins(2 * kCounted + 1);
  ClassStatistics statistics(passes);
  std::vector<int32_t> q(y.size());
  quantise(y, step, rounding, q);
  for (size_t i = 0; i < y.size(); ++i) {
    const int32_t magnitude = q[i] < 0 ? -q[i] : q[i];
    const float position = std::fabs(y[i]) / step + rounding - static_cast<float>(magnitude);
    if (magnitude > kCounted) {
      statistics.add(q[i], 1, std::fmin(position, 1.0f));
      continue;
    }
    Bin& bin = bins[static_cast<size_t>(q[i] + kCounted)];
    bin.weight += 1;
    bin.position += position;
  }
  for (int32_t value = -kCounted; value <= kCounted; ++value) {
    const Bin& bin = bins[static_cast<size_t>(value + kCounted)];
    if (bin.weight > 0) statistics.add(value, bin.weight, bin.position);
  }
  return statistics;
}

}  // namespace kvcast::kernels
