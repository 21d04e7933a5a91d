#include "tools/reality/comparison.h"

#include <gtest/gtest.h>

namespace kvcast::reality {
namespace {

Run made(Path path, const char* controller, double real_ms, double simulated_ms, double least_ms) {
  Run run;
  run.path = path;
  run.way.controller = controller;
  run.slo_ms = 1000;
  run.real_ms = real_ms;
  run.simulated_ms = simulated_ms;
  run.least_ms = least_ms;
  run.real_met = real_ms <= run.slo_ms;
  run.simulated_met = simulated_ms <= run.slo_ms;
  return run;
}

TEST(Comparison, MediansAreOfOnePathAndPromisesOfTheDefault) {
  std::vector<reality::Run> runs = {
      made(Path::kOrigin, "layered", 1010, 1000, 500),  // 1% off, a promise broken
      made(Path::kOrigin, "layered", 1030, 1000, 950),  // 3% off, nothing promised
      made(Path::kOrigin, "fixed:2", 2000, 1600, 500),  // 25% off, not the default
      made(Path::kProxy, "layered", 5000, 1000, 500),   // another path
  };
  const Summary all = summarise(runs, Path::kOrigin);
  EXPECT_EQ(all.runs, 3u);
  EXPECT_NEAR(all.median_off, 0.03, 1e-9);
  EXPECT_NEAR(all.p90_off, 0.25, 1e-9);
  EXPECT_EQ(all.promised, 1u);
  EXPECT_EQ(all.broken, 1u);
  EXPECT_EQ(all.real_misses, 3u);
  EXPECT_EQ(all.simulated_misses, 1u);
  EXPECT_EQ(summarise(runs, Path::kOrigin, "fixed:2").runs, 1u);
  EXPECT_EQ(summarise(runs, Path::kShaped).runs, 0u);
}

TEST(Comparison, AFailedPlayCountsAsAMissAndNotAsATime) {
  std::vector<reality::Run> runs = {made(Path::kProxy, "layered", 0, 900, 500)};
  runs.front().real_met = false;
  runs.front().error = "refused";
  const Summary summary = summarise(runs, Path::kProxy);
  EXPECT_EQ(summary.failed, 1u);
  EXPECT_EQ(summary.broken, 1u);
  EXPECT_EQ(summary.median_off, 0);
}

}  // namespace
}  // namespace kvcast::reality
