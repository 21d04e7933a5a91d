#include "tools/eval/plot.h"

#include "tools/plot/chart.h"

namespace kvcast::eval {
namespace {

constexpr double kLeastKl = 1e-7;  // below: the cache itself, to rounding

std::vector<plot::Dot> dots_of(std::span<const Row> rows, uint64_t elements) {
  std::vector<plot::Dot> dots;
  for (const Row& row : rows) {
    const Summary summary = summarise(row, elements);
    const Interval& kl = summary.mean_kl;
    if (kl.mean > kLeastKl) dots.push_back({summary.bits_per_element, kl.mean, kl.low, kl.high});
  }
  return dots;
}

}  // namespace

std::string plot_svg(std::span<const Row> rows, uint64_t elements, const std::string& title) {
  plot::Chart chart{title,
                    {"bits per KV element, everything a receiver fetches", true},
                    {"mean KL of next token, nats", true},
                    {}};
  for (const std::string& curve : curves_of(rows)) {
    chart.series.push_back({curve, dots_of(rows_of(rows, curve), elements)});
  }
  return plot::svg(std::span(&chart, 1));
}

}  // namespace kvcast::eval
