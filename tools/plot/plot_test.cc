#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/plot/chart.h"
#include "tools/plot/ticks.h"

namespace kvcast::plot {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> labels(const std::vector<Tick>& ticks) {
  std::vector<std::string> labels;
  for (const Tick& tick : ticks) labels.push_back(tick.label);
  return labels;
}

TEST(Ticks, LinearOnesAreRound) {
  EXPECT_THAT(labels(linear_ticks(0, 1)),
              testing::ElementsAre("0", "0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8",
                                   "0.9", "1"));
  EXPECT_THAT(
      labels(linear_ticks(0.83, 0.91)),
      testing::ElementsAre("0.83", "0.84", "0.85", "0.86", "0.87", "0.88", "0.89", "0.9", "0.91"));
  EXPECT_THAT(labels(linear_ticks(-3, 97)).size(), testing::Le(11u));
  EXPECT_THAT(linear_ticks(1, 1), testing::IsEmpty());
}

TEST(Ticks, LogarithmicOnesArePowers) {
  EXPECT_THAT(labels(logarithmic_ticks(0.4, 9)), testing::ElementsAre("0.5", "1", "2", "4", "8"));
  EXPECT_THAT(labels(logarithmic_ticks(2e-5, 0.3)),
              testing::ElementsAre("1e-4", "1e-3", "1e-2", "1e-1"));
  EXPECT_THAT(labels(logarithmic_ticks(4e-5, 2.5e-3)),
              testing::ElementsAre("5e-5", "1e-4", "2e-4", "5e-4", "1e-3", "2e-3"));
}

TEST(Chart, DrawsEachSeriesThatHasDots) {
  Chart chart{"a < b & c", {"x of it", true}, {"y of it"}, {}};
  chart.series.push_back({"one", {{1, 0.5}, {2, 0.7, 0.6, 0.8}}});
  chart.series.push_back({"none", {}});
  chart.series.push_back({"two", {{4, 0.9}}, false});
  const Chart charts[] = {chart, Chart{"empty", {"x"}, {"y"}, {}}};
  const std::string text = svg(charts);
  EXPECT_THAT(text, HasSubstr("viewBox=\"0 0 1000 1120\""));
  EXPECT_THAT(text, HasSubstr("a &lt; b &amp; c"));
  for (const char* word : {"x of it", "y of it", ">one<", ">two<", ">empty<"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
  EXPECT_THAT(text, Not(HasSubstr(">none<")));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(Chart, KeepsDotsWithinGivenLimits) {
  Chart chart{"t", {"x", false, 0, 10}, {"y", false, 0, 1}, {{"s", {{-5, 0}, {20, 2}}}}};
  const std::string text = svg(std::span(&chart, 1));
  EXPECT_THAT(text, HasSubstr("points=\"90.0,480.0 730.0,60.0 \""));
}

}  // namespace
}  // namespace kvcast::plot
