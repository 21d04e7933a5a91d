#include "tools/eval/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::eval {
namespace {

constexpr double kLeastKl = 1e-7;  // below: the cache itself, to rounding
constexpr double kLeft = 90, kTop = 60, kWidth = 640, kHeight = 420;
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00",
                                    "#56b4e9", "#555555", "#a6761d", "#7570b3"};

// A logarithmic axis.
struct Axis {
  double low = 0, high = 0;  // of log10
  double at(double value) const { return (std::log10(value) - low) / (high - low); }
};

struct Dot {
  double bits = 0;
  Interval kl;
};

std::vector<Dot> dots_of(std::span<const Row> rows, uint64_t elements) {
  std::vector<Dot> dots;
  for (const Row& row : rows) {
    const Summary summary = summarise(row, elements);
    if (summary.mean_kl.mean > kLeastKl) {
      dots.push_back({summary.bits_per_element, summary.mean_kl});
    }
  }
  return dots;
}

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

std::string grid(const Axis& bits, const Axis& kl) {
  std::string svg;
  for (const double tick : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0}) {
    const double x = bits.at(tick);
    if (x < 0 || x > 1) continue;
    svg += fmt::format("<path d=\"M{0:.1f} {1:.1f}V{2:.1f}\" stroke=\"#ddd\"/>\n",
                       kLeft + x * kWidth, kTop, kTop + kHeight);
    svg += text(kLeft + x * kWidth, kTop + kHeight + 20, "middle", fmt::format("{}", tick));
  }
  for (int power = -7; power <= 1; ++power) {
    const double y = kl.at(std::pow(10.0, power));
    if (y < 0 || y > 1) continue;
    const double at = kTop + (1 - y) * kHeight;
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"#ddd\"/>\n", kLeft, at, kWidth);
    svg += text(kLeft - 8, at + 5, "end", fmt::format("1e{}", power));
  }
  return svg;
}

std::string line(const std::vector<Dot>& dots, const Axis& bits, const Axis& kl,
                 const char* colour) {
  std::string points, marks;
  for (const Dot& dot : dots) {
    const auto y_of = [&](double value) {
      return kTop + (1 - kl.at(std::max(value, std::pow(10.0, kl.low)))) * kHeight;
    };
    const double x = kLeft + bits.at(dot.bits) * kWidth, y = y_of(dot.kl.mean);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    marks += fmt::format(
        "<circle cx=\"{0:.1f}\" cy=\"{1:.1f}\" r=\"4\" fill=\"{2}\"/>"
        "<path d=\"M{0:.1f} {3:.1f}V{4:.1f}\" stroke=\"{2}\"/>\n",
        x, y, colour, y_of(dot.kl.low), y_of(dot.kl.high));
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n{}",
                     points, colour, marks);
}

}  // namespace

std::string plot_svg(std::span<const Row> rows, uint64_t elements, const std::string& title) {
  Axis bits{1e9, -1e9}, kl{1e9, -1e9};
  for (const Dot& dot : dots_of(rows, elements)) {
    bits.low = std::min(bits.low, std::log10(dot.bits) - 0.05);
    bits.high = std::max(bits.high, std::log10(dot.bits) + 0.05);
    kl.low = std::min(kl.low, std::log10(dot.kl.mean) - 0.2);
    kl.high = std::max(kl.high, std::log10(dot.kl.mean) + 0.2);
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 560\" "
      "font-family=\"sans-serif\"><rect width=\"1000\" height=\"560\" fill=\"white\"/>\n");
  svg += text(kLeft, 32, "start", title, 20);
  svg += grid(bits, kl);
  svg += text(kLeft + kWidth / 2, kTop + kHeight + 48, "middle",
              "bits per KV element, everything a receiver fetches");
  svg += fmt::format("<g transform=\"translate(24 {:.1f}) rotate(-90)\">{}</g>\n",
                     kTop + kHeight / 2, text(0, 0, "middle", "mean KL of next token, nats"));
  const std::vector<std::string> curves = curves_of(rows);
  size_t drawn = 0;
  for (const std::string& curve : curves) {
    const std::vector<Dot> dots = dots_of(rows_of(rows, curve), elements);
    if (dots.empty()) continue;
    const char* colour = kColours[drawn % std::size(kColours)];
    svg += line(dots, bits, kl, colour);
    const double y = kTop + 16 + 24 * static_cast<double>(drawn++);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\" fill=\"{}\"/>\n",
                       kLeft + kWidth + 24, y - 5, colour);
    svg += text(kLeft + kWidth + 38, y, "start", curve);
  }
  return svg + "</svg>\n";
}

}  // namespace kvcast::eval
