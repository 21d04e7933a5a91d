// Where an axis has its marks.
#pragma once

#include <string>
#include <vector>

namespace kvcast::plot {

struct Tick {
  double value = 0;
  std::string label;
};

// Multiples of 1, 2 or 5 times a power of ten within [low, high]: at most eleven.
std::vector<Tick> linear_ticks(double low, double high);

// Powers of ten; where [low, high] spans less than a factor of 256, powers of two, or 1, 2 and 5 of
// each decade if it reaches below 0.01.
std::vector<Tick> logarithmic_ticks(double low, double high);

}  // namespace kvcast::plot
