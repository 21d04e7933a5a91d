#include "tools/commands/bench_symbols.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <stdexcept>

namespace kvcast::tools {
namespace {

constexpr uint32_t kSpread = 400;  // values considered, on either side

// The probability of v is proportional to ratio^|v|.
std::vector<double> geometric(double ratio) {
  std::vector<double> probability(kSpread + 1);
  const double zero = (1 - ratio) / (1 + ratio);
  for (uint32_t a = 0; a <= kSpread; ++a) probability[a] = zero * std::pow(ratio, a);
  return probability;
}

double entropy(double ratio) {
  double bits = 0;
  const std::vector<double> probability = geometric(ratio);
  for (uint32_t a = 0; a <= kSpread; ++a) {
    if (probability[a] > 1e-300)
      bits -= (a == 0 ? 1 : 2) * probability[a] * std::log2(probability[a]);
  }
  return bits;
}

double ratio_of_entropy(double bits) {
  double low = 1e-6, high = 0.99;
  for (int i = 0; i < 60; ++i) (entropy((low + high) / 2) < bits ? low : high) = (low + high) / 2;
  return low;
}

// Probabilities as 4096ths, each at least one.
kernels::ProbabilityTable table_of(const std::vector<double>& probability) {
  kernels::ProbabilityTable table;
  int left = 4096;
  for (const double p : probability) {
    table.frequency.push_back(static_cast<uint16_t>(std::max(1.0, std::floor(p * 4096))));
    left -= table.frequency.back();
  }
  auto& most = *std::max_element(table.frequency.begin(), table.frequency.end());
  most = static_cast<uint16_t>(most + left);
  return table;
}

}  // namespace

std::vector<double> geometric_of_entropy(double bits) {
  return geometric(ratio_of_entropy(bits));
}

std::vector<double> on_finer_scale(double bits, double factor) {
  return geometric(std::pow(ratio_of_entropy(bits), 1 / factor));
}

std::vector<uint16_t> draw_bf16(const std::vector<double>& distribution, size_t count) {
  std::mt19937 random(1);
  std::vector<double> weight = distribution;
  for (size_t a = 1; a < weight.size(); ++a) weight[a] *= 2;
  std::discrete_distribution<int> magnitude(weight.begin(), weight.end());
  std::vector<uint16_t> values(count);
  for (uint16_t& value : values) {
    const int a = std::min(magnitude(random), 255);
    value = kernels::f32_to_bf16(static_cast<float>(random() % 2 == 0 ? a : -a));
  }
  return values;
}

kernels::ScaleClass class_of(const std::vector<double>& distribution, uint32_t dropped) {
  const auto cell = [&](uint32_t magnitude, uint32_t bits) {
    double sum = 0;
    for (uint32_t a = magnitude << bits; a < (magnitude + 1) << bits && a < distribution.size();
         ++a)
      sum += distribution[a];
    return sum;
  };
  kernels::ScaleClass made;
  double escapes = 1;
  std::vector<double> near = {cell(0, dropped) * 2 - distribution[0]};
  escapes -= near[0];
  for (uint32_t m = 1; m <= 15 && escapes > 1e-3; ++m) {
    near.push_back(cell(m, dropped));
    escapes -= 2 * near.back();
  }
  std::vector<double> base(near.rbegin(), near.rend());
  base.insert(base.end(), near.begin() + 1, near.end());
  base.push_back(std::max(escapes, 0.0));
  made.base = table_of(base);
  for (uint32_t pass = 0; pass < dropped; ++pass) {
    const uint32_t bits = dropped - pass - 1;
    const double zero = 2 * cell(0, bits + 1) - distribution[0], more = cell(1, bits) / zero;
    const double next_of_one = cell(3, bits) / std::max(1e-9, cell(1, bits + 1));
    made.passes.push_back({table_of({1 - 2 * more, more, more}),
                           table_of({1 - next_of_one, next_of_one}),
                           table_of({1 - next_of_one, next_of_one})});
  }
  made.reconstruction.assign(dropped + 1, {0.4f, 0.45f});
  return made;
}

kernels::Profile plain_profile(const kernels::Geometry& geometry,
                               const std::vector<double>& distribution,
                               std::vector<uint8_t> drop_bits) {
  kernels::Profile profile;
  profile.geometry = geometry;
  profile.levels = static_cast<uint32_t>(drop_bits.size());
  profile.sink_tokens = 0;
  profile.layer_rope.assign(geometry.layers, kernels::kNoRope);
  profile.groups = {{0, geometry.layers}};
  for (const kernels::Side side : {kernels::Side::kKey, kernels::Side::kValue}) {
    kernels::SectionCodec& section = profile.sections.emplace_back();
    const uint32_t width = geometry.layers * geometry.channels(side);
    section.drop_bits = drop_bits;
    section.mean.assign(width, 0.0f);
    section.scale.assign(width, 1.0f);
    section.order.resize(width);
    std::iota(section.order.begin(), section.order.end(), 0u);
  }
  profile.classes = {class_of(distribution, drop_bits[0])};
  if (const auto valid = kernels::validate(profile); !valid)
    throw std::logic_error(valid.fault().what);
  return profile;
}

}  // namespace kvcast::tools
