#include "kernels/statistics/midpoint_error.h"

#include <cmath>

#include "kernels/quantise/quantiser.h"

namespace kvcast::kernels {

std::vector<double> midpoint_errors(std::span<const float> y, float step, float rounding,
                                    uint32_t passes) {
  std::vector<int32_t> q(y.size());
  quantise(y, step, rounding, q);
  std::vector<double> errors(passes + 1);
  for (uint32_t done = 0; done <= passes; ++done) {
    const double cell = std::ldexp(1.0, static_cast<int>(passes - done));
    for (size_t i = 0; i < y.size(); ++i) {
      const uint32_t magnitude_left = magnitude(q[i]) >> (passes - done);
      const double middle = magnitude_left == 0 ? 0 : (magnitude_left + 0.5) * cell - rounding;
      const double error = std::fabs(y[i]) / double{step} - middle;
      errors[done] += error * error;
    }
  }
  return errors;
}

std::vector<double> reconstruction_savings(const ClassStatistics& statistics,
                                           const ScaleClass& scale_class) {
  const auto passes = static_cast<uint32_t>(statistics.passes.size());
  std::vector<double> savings(passes + 1);
  for (uint32_t done = 0; done <= passes; ++done) {
    const double cell_squared = std::ldexp(1.0, 2 * static_cast<int>(passes - done));
    for (size_t i = 0; i < 2; ++i) {
      const ClassStatistics::Cells& cells = statistics.cells[done][i];
      if (!(cells.weight > 0)) continue;
      const double mean = cells.position / cells.weight;
      const double from_middle = mean - 0.5;
      const double from_point = mean - double{scale_class.reconstruction[done][i]};
      savings[done] +=
          cells.weight * cell_squared * (from_middle * from_middle - from_point * from_point);
    }
  }
  return savings;
}

}  // namespace kvcast::kernels
