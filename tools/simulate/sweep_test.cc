#include "tools/simulate/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "player/controller.h"
#include "tools/simulate/families.h"
#include "tools/simulate/matrix.h"
#include "tools/simulate/presentations.h"
#include "tools/simulate/report.h"

namespace kvcast::simulate {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kSome = {"layered", "cachegen-paper", "text"};

player::SimulatedPresentation small() {
  return *synthetic("llama-3-8b:2048:256", {}, {});
}

std::vector<Scenario> links(uint32_t offsets, uint64_t seed) {
  ScenarioParams params;
  params.offsets = offsets;
  params.seed = seed;
  params.time_scale = 0.2;
  return scenarios_of(*make_family("markov:count=5,mean=400"), params);
}

Sweep swept(unsigned threads, uint64_t seed) {
  player::SimulationParams params;
  params.ttft_slo_s = 0.12;
  return *run_sweep(small(), links(4, seed), params, kSome, threads, {});
}

std::string dump(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) text += row_json(row).dump() + "\n";
  return text;
}

bool all(size_t) {
  return true;
}

TEST(Sweep, IsTheSameForASeedOnAnyNumberOfThreads) {
  const std::string once = dump(rows_of(swept(1, 3), all));
  EXPECT_EQ(once, dump(rows_of(swept(1, 3), all)));
  EXPECT_EQ(once, dump(rows_of(swept(4, 3), all)));
  EXPECT_NE(once, dump(rows_of(swept(1, 4), all)));
}

TEST(Sweep, NobodyDoesBetterThanTheOptimum) {
  const Sweep sweep = swept(1, 5);
  const std::vector<Row> rows = rows_of(sweep, all);
  ASSERT_EQ(rows.size(), kSome.size() + 1);
  const Row& optimum = rows.back();
  EXPECT_EQ(optimum.controller, "optimum");
  EXPECT_EQ(optimum.regret, 0);
  for (const Row& row : rows) {
    EXPECT_EQ(row.runs, 20u);
    EXPECT_EQ(row.is_default, row.controller == "layered");
    EXPECT_GE(row.miss_rate, optimum.miss_rate);
    EXPECT_LE(row.quality_on_time, optimum.quality_on_time + 2e-6);
    EXPECT_NEAR(row.regret, optimum.quality_on_time - row.quality_on_time, 1e-12);
    EXPECT_LE(row.quality_on_time, row.quality + 1e-12);
    EXPECT_LE(row.ttft_p50_ms, row.ttft_p95_ms);
    EXPECT_LE(row.ttft_p95_ms, row.ttft_p99_ms);
  }
  const std::vector<Row> few = rows_of(sweep, [](size_t i) { return i < 3; });
  EXPECT_EQ(few[0].runs, 3u);
}

TEST(Sweep, RefusesUnknownControllers) {
  const auto sweep = run_sweep(small(), links(1, 1), {}, {"layered", "magic"}, 1, {});
  ASSERT_FALSE(sweep.ok());
  EXPECT_THAT(sweep.error().message, HasSubstr("\"magic\""));
}

TEST(Scenarios, FromTheBeginningOrFromRandomMoments) {
  const auto traces = *make_family("steps:count=3");
  EXPECT_EQ(scenarios_of(traces, {}).size(), 3u);
  ScenarioParams params;
  params.offsets = 5;
  params.rate_scale = 3;
  const auto scenarios = scenarios_of(traces, params);
  ASSERT_EQ(scenarios.size(), 15u);
  EXPECT_NEAR(scenarios[0].link.mean_bytes_per_s(), 3 * traces[0].mean_bytes_per_s(), 1);
  EXPECT_NE(scenarios[0].link.bytes_until(0.5), scenarios[1].link.bytes_until(0.5));
}

TEST(Report, HasTheKeysThatOthersRead) {
  const std::vector<Row> rows = rows_of(swept(1, 3), all);
  for (const Row& row : rows) {
    const auto json = row_json(row);
    for (const char* key : {"controller", "runs", "miss_rate", "quality", "quality_on_time",
                            "regret", "ttft_ms", "bytes", "gpu_seconds"}) {
      EXPECT_TRUE(json.contains(key)) << key;
    }
    for (const char* key : {"p50", "p95", "p99"}) EXPECT_TRUE(json["ttft_ms"].contains(key));
    EXPECT_EQ(json.contains("default"), row.controller == "layered");
  }
  EXPECT_THAT(rows_table(rows), HasSubstr("cachegen-paper"));
}

TEST(Report, DrawsBothCharts) {
  const Sweep sweep = swept(1, 3);
  const std::string svg =
      rows_svg("small", 120, sweep, {{60, rows_of(sweep, all)}, {120, rows_of(sweep, all)}});
  EXPECT_THAT(svg, HasSubstr("</svg>"));
  EXPECT_THAT(svg, HasSubstr("SLOs of 60 120 ms"));
  EXPECT_THAT(svg, HasSubstr("TTFT at an SLO of 120 ms"));
  EXPECT_THAT(svg, HasSubstr(">optimum<"));
}

TEST(Matrix, ScalesLinksToThePresentation) {
  MatrixParams params;
  params.plays = 6;
  params.controllers = kSome;
  std::vector<NamedTrace> traces = *make_family("steps:count=6,mean=3");
  const auto more = make_family("markov:count=6,mean=900,step=1,alike=5");
  traces.insert(traces.end(), more->begin(), more->end());
  const auto cells = run_matrix({small()}, traces, params, {});
  ASSERT_TRUE(cells.ok());
  ASSERT_EQ(cells->size(), 2 * std::size(kSloFactors));
  for (const Cell& cell : *cells) EXPECT_GE(cell.steps_in_slo, kLeastSteps) << cell.family;
  const auto rows = rows_of(*cells, [](const Cell& cell) { return cell.slo_factor == 1; });
  EXPECT_EQ(rows.back().runs, 12u);
  EXPECT_GT(rows.back().miss_rate, 0.2);  // half of them, by what the SLO is
  EXPECT_LT(rows.back().miss_rate, 0.7);
  const Bars bars = bars_of(*cells);
  EXPECT_GE(bars.miss_points_above_optimum, 0);
  EXPECT_GT(bars.plays_per_minute, 0);
  EXPECT_FALSE(bars.worst_rival.empty());
}

}  // namespace
}  // namespace kvcast::simulate
