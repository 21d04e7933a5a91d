#include "tools/plot/ticks.h"

#include <fmt/format.h>

#include <cmath>

namespace kvcast::plot {

std::vector<Tick> linear_ticks(double low, double high) {
  std::vector<Tick> ticks;
  if (!(high > low)) return ticks;
  const double rough = (high - low) / 10;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  for (double n = std::ceil(low / step - 1e-9) + 0.0; n * step <= high + 1e-9 * step; ++n) {
    ticks.push_back({n * step, fmt::format("{:.6g}", n * step)});
  }
  return ticks;
}

namespace {

// 1, 2 and 5 of each decade: powers of two are long to write below a hundredth.
std::vector<Tick> decade_ticks(double low, double high) {
  std::vector<Tick> ticks;
  for (int n = static_cast<int>(std::floor(std::log10(low))); std::pow(10.0, n) <= high; ++n) {
    for (const int digit : {1, 2, 5}) {
      const double value = digit * std::pow(10.0, n);
      if (value >= low && value <= high) ticks.push_back({value, fmt::format("{}e{}", digit, n)});
    }
  }
  return ticks;
}

}  // namespace

std::vector<Tick> logarithmic_ticks(double low, double high) {
  std::vector<Tick> ticks;
  const bool doubling = high < 256 * low;
  if (doubling && low < 0.01) return decade_ticks(low, high);
  const double base = doubling ? 2 : 10;
  const auto power_of = [&](double value) { return std::log(value) / std::log(base); };
  for (double n = std::ceil(power_of(low) - 1e-9); n <= power_of(high) + 1e-9; ++n) {
    const double value = std::pow(base, n);
    ticks.push_back({value, doubling ? fmt::format("{:g}", value) : fmt::format("1e{}", n)});
  }
  return ticks;
}

}  // namespace kvcast::plot
