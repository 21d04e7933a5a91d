#include "kernels/statistics/parametric_classes.h"

#include <algorithm>
#include <cmath>

namespace kvcast::kernels {
namespace {

constexpr int kScales = 12;
constexpr double kFirstScale = 0.12;
constexpr double kScaleRatio = 1.5;      // a scale off by its root costs some 0.04 bits a symbol
constexpr double kRangeDeviations = 12;  // beyond it even Laplace has less than 1e-7
constexpr double kPointsPerCell = 8;
constexpr double kMinPoints = 4096;

enum class Shape { kGauss, kLaplace };

double density(Shape shape, double deviations) {
  return shape == Shape::kGauss ? std::exp(-0.5 * deviations * deviations)
                                : std::exp(-std::sqrt(2.0) * deviations);
}

// `deviation`: in finest steps. Integrates over magnitudes by the midpoint rule.
ClassStatistics discretise(Shape shape, double deviation, uint32_t passes, float rounding) {
  const double range = kRangeDeviations * deviation;
  const double points = std::max(kMinPoints, std::ceil(range * kPointsPerCell));
  const double width = range / points;
  ClassStatistics statistics(passes);
  for (double i = 0.5; i < points; ++i) {
    const double magnitude = i * width;
    const double weight = density(shape, magnitude / deviation);
    const auto q = static_cast<int32_t>(magnitude + double{rounding});
    const double position = weight * (magnitude + double{rounding} - q);
    statistics.add(q, weight, position);
    statistics.add(-q, weight, position);
  }
  ClassStatistics normalised(passes);
  normalised.add(statistics, 1 / statistics.total());
  return normalised;
}

}  // namespace

std::vector<ClassStatistics> parametric_statistics(uint32_t passes, float rounding) {
  std::vector<ClassStatistics> family;
  double deviation = kFirstScale * static_cast<double>(1u << passes);
  for (int i = 0; i < kScales; ++i, deviation *= kScaleRatio) {
    for (const Shape shape : {Shape::kGauss, Shape::kLaplace}) {
      family.push_back(discretise(shape, deviation, passes, rounding));
    }
  }
  return family;
}

}  // namespace kvcast::kernels
