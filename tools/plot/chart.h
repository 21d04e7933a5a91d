// Line charts as SVG, for reports that people look at. Pure: values in, text out.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvcast::plot {

struct Dot {
  double x = 0, y = 0;
  double y_low = 0, y_high = 0;  // a bar, where y_low < y_high
};

struct Series {
  std::string name;
  std::vector<Dot> dots = {};  // joined in this order; none: left out
  bool marks = true;           // a circle at every dot
};

struct Axis {
  std::string title;
  bool logarithmic = false;  // values are > 0
  // Absent: what the dots need.
  std::optional<double> low = std::nullopt, high = std::nullopt;
};

struct Chart {
  std::string title;
  Axis x, y;
  std::vector<Series> series = {};  // the order decides the colours
};

// One file, the charts one below the other, each 1000 x 560. Dots outside given limits are drawn at
// the edge.
std::string svg(std::span<const Chart> charts);

}  // namespace kvcast::plot
