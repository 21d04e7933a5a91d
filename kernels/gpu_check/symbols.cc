#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/gpu_check/peers.h"

namespace kvcast::kernels::gpu_check {

Symbols normal_symbols(double bits, uint32_t tokens, uint32_t channels, uint32_t seed) {
  // A normal variable of deviation d, cut into cells of width 1, has about log2(d sqrt(2 pi e))
  // bits from d = 0.6 on.
  const double deviation = std::exp2(bits) / std::sqrt(2 * 3.14159265358979 * 2.718281828459045);
  Symbols symbols{32, tokens, channels, {}};
  symbols.values.reserve(size_t{tokens} * channels);
  std::mt19937 random(seed);
  std::normal_distribution<double> draw(0.0, deviation);
  for (size_t i = 0; i < size_t{tokens} * channels; ++i) {
    symbols.values.push_back(
        static_cast<uint8_t>(16 + std::clamp(std::round(draw(random)), -16.0, 15.0)));
  }
  return symbols;
}

}  // namespace kvcast::kernels::gpu_check
