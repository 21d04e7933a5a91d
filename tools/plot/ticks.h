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

// Powers of two where [low, high] spans less than a factor of 256, else powers of ten.
std::vector<Tick> logarithmic_ticks(double low, double high);

}  // namespace kvcast::plot
