#include "tools/simulate/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/plot/chart.h"

namespace kvcast::simulate {
namespace {

constexpr size_t kCdfDots = 200;

plot::Chart misses_against_quality(
    const std::string& title, const std::vector<std::pair<double, std::vector<Row>>>& by_slo_ms) {
  plot::Chart chart{title, {"plays that miss the SLO, percent"}, {"mean quality of all plays"}};
  if (by_slo_ms.empty()) return chart;
  for (size_t c = 0; c < by_slo_ms.front().second.size(); ++c) {
    plot::Series series{by_slo_ms.front().second[c].controller};
    for (const auto& [slo_ms, rows] : by_slo_ms) {
      series.dots.push_back({100 * rows[c].miss_rate, rows[c].quality});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

plot::Series cdf(const std::string& name, const std::vector<Outcome>& outcomes, double most_ms) {
  std::vector<double> ttft_ms;
  for (const Outcome& outcome : outcomes) ttft_ms.push_back(1e3 * outcome.ttft_s);
  std::sort(ttft_ms.begin(), ttft_ms.end());
  plot::Series series{name};
  series.marks = false;
  const size_t stride = std::max<size_t>(1, ttft_ms.size() / kCdfDots);
  for (size_t i = 0; i < ttft_ms.size(); i += stride) {
    if (ttft_ms[i] > most_ms) break;
    series.dots.push_back(
        {ttft_ms[i], 100 * static_cast<double>(i + 1) / static_cast<double>(ttft_ms.size())});
  }
  return series;
}

}  // namespace

nlohmann::ordered_json row_json(const Row& row) {
  nlohmann::ordered_json json;
  json["controller"] = row.controller;
  if (row.is_default) json["default"] = true;
  json["runs"] = row.runs;
  json["miss_rate"] = row.miss_rate;
  json["quality"] = row.quality;
  json["quality_on_time"] = row.quality_on_time;
  json["regret"] = row.regret;
  json["ttft_ms"] = {{"p50", row.ttft_p50_ms}, {"p95", row.ttft_p95_ms}, {"p99", row.ttft_p99_ms}};
  json["bytes"] = row.bytes;
  json["gpu_seconds"] = row.gpu_seconds;
  return json;
}

std::string rows_table(const std::vector<Row>& rows) {
  std::string text = fmt::format("{:<18}{:>6}{:>8}{:>9}{:>9}{:>8}{:>9}{:>9}{:>9}{:>10}{:>8}\n",
                                 "controller", "plays", "miss %", "quality", "on time", "regret",
                                 "p50 ms", "p95 ms", "p99 ms", "MB", "GPU s");
  for (const Row& row : rows) {
    text += fmt::format(
        "{:<18}{:>6}{:>8.2f}{:>9.4f}{:>9.4f}{:>8.4f}{:>9.4g}{:>9.4g}{:>9.4g}{:>10.3f}{:>8.3f}\n",
        row.controller, row.runs, 100 * row.miss_rate, row.quality, row.quality_on_time, row.regret,
        row.ttft_p50_ms, row.ttft_p95_ms, row.ttft_p99_ms, row.bytes / 1e6, row.gpu_seconds);
  }
  return text;
}

std::string rows_svg(const std::string& title, double ttft_slo_ms, const Sweep& at_slo,
                     const std::vector<std::pair<double, std::vector<Row>>>& by_slo_ms) {
  std::string slos;
  for (const auto& [slo_ms, rows] : by_slo_ms) slos += fmt::format(" {:.4g}", slo_ms);
  plot::Chart times{fmt::format("{}: TTFT at an SLO of {:.4g} ms", title, ttft_slo_ms),
                    {"milliseconds", false, 0, 2 * ttft_slo_ms},
                    {"plays with a first token by then, percent", false, 0, 100}};
  for (size_t c = 0; c < at_slo.controllers.size(); ++c) {
    times.series.push_back(cdf(at_slo.controllers[c], at_slo.outcomes[c], 2 * ttft_slo_ms));
  }
  times.series.push_back(cdf("optimum", at_slo.optimum, 2 * ttft_slo_ms));
  times.series.push_back({"SLO", {{ttft_slo_ms, 0}, {ttft_slo_ms, 100}}, false});
  const plot::Chart charts[] = {
      misses_against_quality(fmt::format("{}: SLOs of{} ms", title, slos), by_slo_ms), times};
  return plot::svg(charts);
}

}  // namespace kvcast::simulate
