#include "kernels/plane/laplace_classes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/statistics/frequencies.h"

namespace kvcast::kernels {
namespace {

ProbabilityTable table_of(std::vector<double> weights) {
  for (double& weight : weights) weight = std::max(weight, 1e-9);  // every symbol can be coded
  return {to_frequencies(weights)};
}

// Magnitudes of one class; `bits` is how many are dropped.
struct Laplace {
  double scale, rounding;
  double at_least(double magnitude, uint32_t bits) const {  // probability
    return magnitude <= 0 ? 1 : std::exp(-(magnitude * std::exp2(bits) - rounding) / scale);
  }
  double exactly(double magnitude, uint32_t bits) const {
    return at_least(magnitude, bits) - at_least(magnitude + 1, bits);
  }
};

ProbabilityTable base_table(const Laplace& laplace, uint32_t bits) {
  constexpr int kLargest = static_cast<int>(kMaxAlphabet / 2) - 1;
  int largest = 1;
  while (largest < kLargest && laplace.at_least(largest + 1, bits) > 1e-4) ++largest;
  std::vector<double> weights;
  for (int value = -largest; value <= largest; ++value) {
    weights.push_back(laplace.exactly(std::abs(value), bits) / (value == 0 ? 1 : 2));
  }
  weights.push_back(laplace.at_least(largest + 1, bits));
  return table_of(weights);
}

std::array<ProbabilityTable, 3> pass_tables(const Laplace& laplace, uint32_t bits_after) {
  const double becomes_one = laplace.exactly(1, bits_after);
  return {table_of({laplace.exactly(0, bits_after), becomes_one / 2, becomes_one / 2}),
          table_of({laplace.exactly(2, bits_after), laplace.exactly(3, bits_after)}),
          table_of({laplace.exactly(4, bits_after), laplace.exactly(5, bits_after)})};
}

}  // namespace

std::vector<ScaleClass> laplace_classes(std::span<const double> scales, double rounding,
                                        uint32_t dropped_bits) {
  std::vector<ScaleClass> classes;
  for (const double scale : scales) {
    const Laplace laplace{scale, rounding};
    ScaleClass scale_class;
    scale_class.base = base_table(laplace, dropped_bits);
    for (uint32_t pass = 0; pass < dropped_bits; ++pass) {
      scale_class.passes.push_back(pass_tables(laplace, dropped_bits - 1 - pass));
    }
    scale_class.reconstruction.assign(dropped_bits + 1, {0.375f, 0.4375f});
    classes.push_back(scale_class);
  }
  return classes;
}

}  // namespace kvcast::kernels
