#include "origin/trace.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Trace parsed(std::string_view text) {
  auto trace = Trace::parse(text, "test");
  if (!trace.ok()) throw std::runtime_error(trace.error().message);
  return std::move(*trace);
}

TEST(Trace, StepsHoldUntilTheNext) {
  const Trace trace = parsed("0 8\n2 0\n3\t16\n");  // 1 MB/s, outage, 2 MB/s
  EXPECT_DOUBLE_EQ(trace.bytes_per_s_at(0), 1e6);
  EXPECT_DOUBLE_EQ(trace.bytes_per_s_at(1.999), 1e6);
  EXPECT_DOUBLE_EQ(trace.bytes_per_s_at(2), 0);
  EXPECT_DOUBLE_EQ(trace.bytes_per_s_at(3), 2e6);
  EXPECT_DOUBLE_EQ(trace.bytes_per_s_at(1e6), 2e6);
  EXPECT_DOUBLE_EQ(trace.bytes_until(1), 1e6);
  EXPECT_DOUBLE_EQ(trace.bytes_until(2.5), 2e6);
  EXPECT_DOUBLE_EQ(trace.bytes_until(4), 4e6);
  EXPECT_DOUBLE_EQ(trace.seconds_until(1e6), 1);
  EXPECT_DOUBLE_EQ(trace.seconds_until(2e6), 2);  // before the outage, not after
  EXPECT_DOUBLE_EQ(trace.seconds_until(2e6 + 2), 3.000001);
  EXPECT_DOUBLE_EQ(trace.seconds_until(0), 0);
}

TEST(Trace, FirstRateHoldsFromTheStart) {
  const Trace trace = parsed("5 8\n6 16\n");
  EXPECT_DOUBLE_EQ(trace.bytes_until(5), 5e6);
  EXPECT_DOUBLE_EQ(trace.bytes_until(7), 8e6);
}

TEST(Trace, EndingInAnOutageNeverCarriesMore) {
  const Trace trace = parsed("0 8\n1 0");
  EXPECT_DOUBLE_EQ(trace.seconds_until(1e6), 1);
  EXPECT_EQ(trace.seconds_until(1e6 + 1), kInfinity);
  EXPECT_EQ(Trace::constant(0).seconds_until(1), kInfinity);
}

TEST(Trace, CommentsBlanksAndLineEnds) {
  const Trace trace = parsed("# header\n\n  0.0 \t 8 # first\r\n\t\n1.5 1.6e1");
  EXPECT_DOUBLE_EQ(trace.bytes_until(2.5), 1.5e6 + 2e6);
}

TEST(Trace, OfLinesWithOneSecondTheLastCounts) {
  const Trace trace = parsed("0 8\n1 80\n1 16\n2 8");
  EXPECT_DOUBLE_EQ(trace.bytes_until(2), 3e6);
  ASSERT_EQ(trace.steps().size(), 3u);
  EXPECT_DOUBLE_EQ(trace.steps()[1].begin_s, 1);
  EXPECT_DOUBLE_EQ(trace.steps()[1].bytes_per_s, 2e6);
  EXPECT_DOUBLE_EQ(trace.steps()[2].bytes_before, 3e6);
}

TEST(Trace, BadLinesAreNamed) {
  struct {
    const char *text, *where;
  } const cases[] = {
      {"0 1\n1", "t:2:"},
      {"x", "t:1:"},
      {"0 1\n\n# c\n2 3 4", "t:4:"},
      {"2 1\n1 2", "t:2:"},
      {"-1 2", "t:1:"},
      {"0 -2", "t:1:"},
      {"0 nan", "t:1:"},
      {"0 inf", "t:1:"},
      {"0 1e8", "t:1:"},
      {"1e10 1", "t:1:"},
      {"0,1", "t:1:"},
      {"0 1mbit", "t:1:"},
      {"", "t: no rates"},
      {"# only\n", "t: no rates"},
      {"1\n0 1", "t:1:"},
  };
  for (const auto& c : cases) {
    const auto trace = Trace::parse(c.text, "t");
    ASSERT_FALSE(trace.ok()) << c.text;
    EXPECT_TRUE(trace.error().message.starts_with(c.where)) << trace.error().message;
  }
}

TEST(Trace, IntegralAndInverseAgreeOnRandomTraces) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    double time = 0;
    for (size_t n = 1 + random() % 20; n > 0; --n) {
      text += std::to_string(time) + " " +
              std::to_string(random() % 4 == 0 ? 0 : unit(random) * 100) + "\n";
      time += 0.001 + unit(random);
    }
    const Trace trace = parsed(text + std::to_string(time) + " 1\n");
    double bytes_before = 0;
    for (double at = 0; at < time + 2; at += 0.0371) {
      const double bytes = trace.bytes_until(at);
      ASSERT_GE(bytes, bytes_before);
      bytes_before = bytes;
      const double when = trace.seconds_until(bytes);
      ASSERT_LE(when, at + 1e-6);  // earlier if `at` lies in an outage
      ASSERT_NEAR(trace.bytes_until(when), bytes, 1e-3);
      if (trace.bytes_per_s_at(at) > 0) {
        ASSERT_NEAR(when, at, 1e-5);
      }
    }
  }
}

TEST(Trace, Specs) {
  for (const char* spec : {"40", "40mbit", "40 Mbit/s", "40Mbps", "4e1"}) {
    const auto trace = Trace::from_spec(spec);
    ASSERT_TRUE(trace.ok()) << spec;
    EXPECT_DOUBLE_EQ(trace->bytes_until(1), 5e6) << spec;
  }
  testing::TemporaryFolder folder;
  const auto trace = Trace::from_spec(folder.write("trace", "0 8\n"));
  ASSERT_TRUE(trace.ok());
  EXPECT_DOUBLE_EQ(trace->bytes_until(1), 1e6);
  for (const std::string& spec :
       {std::string("-1"), std::string("1e9"), std::string("40kbit"), std::string("none.txt"),
        std::string("nan"), folder.path().string(), folder.write("bad", "x\n")}) {
    const auto none = Trace::from_spec(spec);
    ASSERT_FALSE(none.ok()) << spec;
    EXPECT_NE(none.error().message.find(spec), std::string::npos) << none.error().message;
  }
}

TEST(Trace, Scales) {
  EXPECT_DOUBLE_EQ(parsed("0 8\n1 16").scaled(2.5).bytes_until(2), 7.5e6);
  EXPECT_EQ(parsed("0 8").scaled(0).seconds_until(1), kInfinity);
}

}  // namespace
}  // namespace kvcast::origin
