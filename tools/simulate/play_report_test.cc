#include "tools/simulate/play_report.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tools/simulate/presentations.h"

namespace kvcast::simulate {
namespace {

ReportedPlay played(const std::string& controller) {
  const auto presentation = synthetic("llama-3-8b:4096:512", {}, {});
  player::SimulationParams params;
  params.ttft_slo_s = 0.12;
  const player::LinkTrace link({{0, 150e6}, {0.05, 0}, {0.07, 300e6}});
  auto made = report_play(*presentation, link, params, controller);
  EXPECT_TRUE(made.ok());
  return std::move(*made);
}

TEST(PlayReport, SaysWhatTheSimulatedPlayDid) {
  const ReportedPlay made = played("layered");
  const player::PlayReport& report = made.report;
  EXPECT_EQ(report.tokens, 4096u);
  ASSERT_EQ(report.chunks.size(), 8u);
  EXPECT_LE(report.bytes_unused, report.bytes_fetched);
  std::map<std::string, int> seen;
  double before_ms = 0;
  for (const player::PlayEvent& event : made.events) {
    ++seen[std::string(event.what)];
    EXPECT_GE(event.time_ms, before_ms);
    before_ms = event.time_ms;
  }
  EXPECT_EQ(seen["freeze"], 1);
  EXPECT_EQ(seen["ready"], 1);
  EXPECT_GT(seen["fetch"], 0);
  EXPECT_GT(seen["recomputed"], 0);
  EXPECT_GE(seen["decode"], seen["decoded"]);
  EXPECT_GE(seen["recompute"], seen["recomputed"]);
  EXPECT_NEAR(report.kv_ready_ms, before_ms, 1e-6);
}

TEST(PlayReport, KnowsTheLink) {
  const ReportedPlay made = played("fixed:1");
  ASSERT_EQ(made.link.size(), 3u);
  EXPECT_EQ(made.link[1].begin_s, 0.05);
  EXPECT_EQ(made.link[1].bytes_per_s, 0);
  for (const player::ChunkReport& chunk : made.report.chunks) {
    EXPECT_EQ(chunk.level, 1u);
    EXPECT_GT(chunk.bytes_fetched, 0u);
  }
}

TEST(PlayReport, AnUnknownControllerIsAnError) {
  const auto presentation = synthetic("llama-3-8b:4096:512", {}, {});
  EXPECT_FALSE(report_play(*presentation, player::LinkTrace::constant(1e8), {}, "magic").ok());
}

}  // namespace
}  // namespace kvcast::simulate
