#include "player/report.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "player/report/pages.h"
#include "player/report/timeline.h"

namespace kvcast::player {
namespace {

using Json = nlohmann::json;

PlayReport sample_report() {
  PlayReport report;
  report.presentation = "sample";
  report.controller = "layered";
  report.tokens = 32;
  report.ttft_slo_ms = 100;
  report.ttft_ms = 90;
  report.kv_ready_ms = 80;
  report.met = true;
  report.chunks = {{0, 16, true, {}, false, 1.0, 0}, {16, 32, false, 1, false, 0.9, 2000}};
  return report;
}

std::vector<PlayEvent> sample_events() {
  return {
      {5, "complete", {}, {}, "manifest (http://h/m.json)", {{"received_bytes", 100}}},
      {10, "fetch", 1, 0, "missing", {{"bytes", 1000}}},
      {10, "recompute", 0, {}, "front", {}},
      {20, "fetch", 1, 1, "upgrade", {{"bytes", 1000}}},
      {30,
       "complete",
       1,
       0,
       "chunk 1 plane 0",
       {{"received_bytes", 1000}, {"rate_bytes_per_s", 5e4}}},
      {31, "decode", 1, {}, "first", {{"level", 0}}},
      {33, "decoded", 1, {}, "level 0", {}},
      {35, "recomputed", 0, {}, "25 ms", {}},
      {40, "fetch", 0, 0, "a </script><script>alert(1)</script> reason", {{"bytes", 500}}},
      {45, "cancel", 0, 0, "recomputed", {}},
      {70, "freeze", {}, {}, "nothing more fits", {}},
  };
}

TEST(Timeline, PairsBeginningsWithEnds) {
  const Timeline timeline = make_timeline(sample_report(), sample_events());
  ASSERT_EQ(timeline.spans.size(), 6u);
  const Span& manifest = timeline.spans[0];
  EXPECT_EQ(manifest.name, "manifest");
  EXPECT_EQ(manifest.begin_ms, 0);
  EXPECT_EQ(manifest.end_ms, 5);
  const Span& base = timeline.spans[1];
  EXPECT_EQ(base.name, "chunk 1 plane 0");
  EXPECT_EQ(base.bytes, 1000u);
  EXPECT_EQ(base.outcome, "complete");
  EXPECT_EQ(base.end_ms, 30);
  EXPECT_EQ(timeline.spans[2].kind, Span::Kind::kRecompute);
  EXPECT_EQ(timeline.spans[2].end_ms, 35);
  EXPECT_EQ(timeline.spans[4].name, "chunk 1 level 0");
  EXPECT_EQ(timeline.spans[5].outcome, "cancelled");
}

TEST(Timeline, TheFreezeCutsOffWhatWasUnderWay) {
  const Timeline timeline = make_timeline(sample_report(), sample_events());
  const Span& cut = timeline.spans[3];
  EXPECT_EQ(cut.name, "chunk 1 plane 1");
  EXPECT_EQ(cut.outcome, "unfinished");
  EXPECT_EQ(cut.end_ms, 70);
}

TEST(Timeline, SpansOfOneLaneNeverOverlap) {
  const Timeline timeline = make_timeline(sample_report(), sample_events());
  EXPECT_EQ(timeline.network_lanes, 2u);
  EXPECT_EQ(timeline.decode_lanes, 1u);
  for (const Span& a : timeline.spans) {
    for (const Span& b : timeline.spans) {
      if (&a == &b || a.kind != b.kind || a.lane != b.lane) continue;
      EXPECT_TRUE(a.end_ms <= b.begin_ms || b.end_ms <= a.begin_ms) << a.name << ", " << b.name;
    }
  }
}

TEST(Timeline, TheMeasuredRateHoldsEveryByte) {
  const Timeline timeline = make_timeline(sample_report(), sample_events());
  ASSERT_GT(timeline.measured.size(), 1u);
  const double bin_s = (timeline.measured[1].time_ms - timeline.measured[0].time_ms) * 1e-3;
  double bytes = 0;
  for (const RatePoint& sample : timeline.measured) bytes += sample.bytes_per_s * bin_s;
  EXPECT_NEAR(bytes, 1100, 1e-6);
  ASSERT_EQ(timeline.predicted.size(), 1u);
  EXPECT_EQ(timeline.predicted[0].bytes_per_s, 5e4);
}

TEST(Timeline, APlayWithoutEventsHasAnEnd) {
  const Timeline timeline = make_timeline({}, {});
  EXPECT_TRUE(timeline.spans.empty());
  EXPECT_GT(timeline.end_ms, 0);
}

TEST(ReportPage, HoldsItsDataAndNothingThatEndsTheScript) {
  const std::string page = report_page(sample_report(), sample_events(), {{0, 1e6}, {0.05, 2e6}});
  EXPECT_EQ(page.find("</script><script>alert"), std::string::npos);
  const std::string open = "<script id=\"data\" type=\"application/json\">";
  const size_t begin = page.find(open);
  ASSERT_NE(begin, std::string::npos);
  const size_t end = page.find("</script>", begin);
  const Json data = Json::parse(page.substr(begin + open.size(), end - begin - open.size()));
  EXPECT_EQ(data["report"]["presentation"], "sample");
  EXPECT_EQ(data["spans"].size(), 6u);
  EXPECT_EQ(data["events"].size(), 11u);
  EXPECT_EQ(data["events"][8]["reason"], "a </script><script>alert(1)</script> reason");
  EXPECT_EQ(data["rates"]["link"][1], Json({50.0, 2e6}));
}

TEST(ReportPage, FetchesNothing) {
  const std::string page = report_page(sample_report(), {}, {});
  for (const char* way : {"<link", "src=", "@import", "url(", "fetch("}) {
    EXPECT_EQ(page.find(way), std::string::npos) << way;
  }
}

TEST(Perfetto, NamesEveryLaneItUses) {
  const Json trace = Json::parse(perfetto_trace(sample_report(), sample_events()));
  std::vector<int> named, used;
  int slices = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] == "M") named.push_back(event["tid"]);
    if (event["ph"] != "X") continue;
    ++slices;
    used.push_back(event["tid"]);
    EXPECT_GE(event["dur"].get<double>(), 0);
  }
  EXPECT_EQ(slices, 6);
  EXPECT_THAT(used, testing::Each(testing::AnyOfArray(named)));
}

TEST(WriteReport, PutsAllFourFilesIntoTheFolder) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("kvcast_report_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(write_report(folder.string(), sample_report(), sample_events()));
  for (const char* name : {"report.json", "events.jsonl", "report.html", "perfetto.json"}) {
    EXPECT_GT(std::filesystem::file_size(folder / name), 0u) << name;
  }
  std::ifstream lines(folder / "events.jsonl");
  std::string line;
  size_t count = 0;
  for (; std::getline(lines, line); ++count) EXPECT_TRUE(Json::accept(line));
  EXPECT_EQ(count, 11u);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kvcast::player
