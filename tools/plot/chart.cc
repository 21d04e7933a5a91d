#include "tools/plot/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "tools/plot/ticks.h"

namespace kvcast::plot {
namespace {

constexpr double kLeft = 90, kTop = 60, kWidth = 640, kHeight = 420, kSheetHeight = 560;
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                    "#56b4e9", "#555555", "#a6761d", "#7570b3"};

std::string text(double x, double y, const char* anchor, const std::string& words, int size = 14) {
  std::string escaped;
  for (const char c : words) {
    if (c == '&')
      escaped += "&amp;";
    else if (c == '<')
      escaped += "&lt;";
    else
      escaped += c;
  }
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y,
      anchor, size, escaped);
}

// An axis with limits: values to shares of its length.
class Scale {
 public:
  Scale(const Axis& axis, const std::vector<double>& values) : logarithmic_(axis.logarithmic) {
    low_ = std::numeric_limits<double>::infinity();
    high_ = -low_;
    for (const double value : values) {
      if (logarithmic_ && value <= 0) continue;
      low_ = std::min(low_, position(value));
      high_ = std::max(high_, position(value));
    }
    const double room = 0.04 * std::max(high_ - low_, logarithmic_ ? 0.5 : 1e-9);
    low_ = axis.low ? position(*axis.low) : low_ - room;
    high_ = axis.high ? position(*axis.high) : high_ + room;
  }

  double share(double value) const {
    const bool below = logarithmic_ && value <= 0;
    return below ? 0 : std::clamp((position(value) - low_) / (high_ - low_), 0.0, 1.0);
  }
  std::vector<Tick> ticks() const {
    return logarithmic_ ? logarithmic_ticks(std::exp(low_), std::exp(high_))
                        : linear_ticks(low_, high_);
  }

 private:
  double position(double value) const { return logarithmic_ ? std::log(value) : value; }
  bool logarithmic_;
  double low_, high_;
};

class Sheet {
 public:
  Sheet(const Chart& chart, double top)
      : chart_(chart),
        top_(top + kTop),
        x_(chart.x, all([](const Dot& dot) { return dot.x; })),
        y_(chart.y, all([](const Dot& dot) { return dot.y; })) {}

  std::string draw() const {
    std::string svg = text(kLeft, top_ - 28, "start", chart_.title, 20);
    if (drawn_any()) svg += grid();
    svg += text(kLeft + kWidth / 2, top_ + kHeight + 48, "middle", chart_.x.title);
    svg += fmt::format("<g transform=\"translate(24 {:.1f}) rotate(-90)\">{}</g>\n",
                       top_ + kHeight / 2, text(0, 0, "middle", chart_.y.title));
    size_t drawn = 0;
    for (const Series& series : chart_.series) {
      if (series.dots.empty()) continue;
      const char* colour = kColours[drawn % std::size(kColours)];
      svg += line(series, colour);
      const double y = top_ + 16 + 24 * static_cast<double>(drawn++);
      svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\" fill=\"{}\"/>\n",
                         kLeft + kWidth + 24, y - 5, colour);
      svg += text(kLeft + kWidth + 38, y, "start", series.name);
    }
    return svg;
  }

 private:
  template <typename Value>
  std::vector<double> all(Value value) const {
    std::vector<double> values;
    for (const Series& series : chart_.series) {
      for (const Dot& dot : series.dots) values.push_back(value(dot));
    }
    return values;
  }

  bool drawn_any() const {
    return std::any_of(chart_.series.begin(), chart_.series.end(),
                       [](const Series& series) { return !series.dots.empty(); });
  }

  double at_x(double value) const { return kLeft + x_.share(value) * kWidth; }
  double at_y(double value) const { return top_ + (1 - y_.share(value)) * kHeight; }

  std::string grid() const {
    std::string svg;
    for (const Tick& tick : x_.ticks()) {
      const double x = at_x(tick.value);
      svg += fmt::format("<path d=\"M{:.1f} {:.1f}v{:.1f}\" stroke=\"#ddd\"/>\n", x, top_, kHeight);
      svg += text(x, top_ + kHeight + 20, "middle", tick.label);
    }
    for (const Tick& tick : y_.ticks()) {
      const double y = at_y(tick.value);
      svg += fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"#ddd\"/>\n", kLeft, y, kWidth);
      svg += text(kLeft - 8, y + 5, "end", tick.label);
    }
    return svg;
  }

  std::string line(const Series& series, const char* colour) const {
    std::string points, marks;
    for (const Dot& dot : series.dots) {
      const double x = at_x(dot.x), y = at_y(dot.y);
      points += fmt::format("{:.1f},{:.1f} ", x, y);
      if (series.marks) {
        marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x, y,
                             colour);
      }
      if (dot.y_low < dot.y_high) {
        marks += fmt::format("<path d=\"M{:.1f} {:.1f}V{:.1f}\" stroke=\"{}\"/>\n", x,
                             at_y(dot.y_low), at_y(dot.y_high), colour);
      }
    }
    return fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n{}", points,
        colour, marks);
  }

  const Chart& chart_;
  const double top_;
  const Scale x_, y_;
};

}  // namespace

std::string svg(std::span<const Chart> charts) {
  const double height = kSheetHeight * static_cast<double>(charts.size());
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 {0:.0f}\" "
      "font-family=\"sans-serif\"><rect width=\"1000\" height=\"{0:.0f}\" fill=\"white\"/>\n",
      height);
  for (size_t i = 0; i < charts.size(); ++i) {
    svg += Sheet(charts[i], kSheetHeight * static_cast<double>(i)).draw();
  }
  return svg + "</svg>\n";
}

}  // namespace kvcast::plot
