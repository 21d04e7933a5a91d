#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "player/simulator/fluid_link.h"
#include "player/simulator/planner_link.h"

namespace kvcast::player {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

LinkTrace random_trace(std::mt19937_64& random, bool repeats) {
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<LinkTrace::Step> steps;
  double at_s = 0;
  for (size_t n = 1 + random() % 8; n > 0; --n) {
    steps.push_back({at_s, random() % 4 == 0 ? 0 : 1e6 * unit(random)});
    at_s += 0.05 + unit(random);
  }
  steps.push_back({at_s, 1e6});
  return LinkTrace(steps, repeats ? std::optional(at_s + 0.3) : std::nullopt);
}

TEST(LinkTrace, HoldsItsLastRateOrRepeats) {
  const std::vector<LinkTrace::Step> steps = {{0, 100}, {1, 0}, {2, 50}};
  const LinkTrace held(steps);
  EXPECT_DOUBLE_EQ(held.bytes_until(1.5), 100);
  EXPECT_DOUBLE_EQ(held.bytes_until(10), 500);
  EXPECT_DOUBLE_EQ(held.seconds_until(100), 1) << "before the outage, not after";
  EXPECT_DOUBLE_EQ(held.seconds_until(150), 3);
  EXPECT_EQ(held.next_change_s(2), kInfinity);
  const LinkTrace looped(steps, 4);
  EXPECT_DOUBLE_EQ(looped.bytes_until(4), 200);
  EXPECT_DOUBLE_EQ(looped.bytes_until(9), 500);
  EXPECT_DOUBLE_EQ(looped.seconds_until(500), 9);
  EXPECT_DOUBLE_EQ(looped.seconds_until(200), 4);
  EXPECT_DOUBLE_EQ(looped.next_change_s(2), 4);
  EXPECT_DOUBLE_EQ(looped.mean_bytes_per_s(), 50);
  EXPECT_EQ(LinkTrace::constant(0).seconds_until(1), kInfinity);
}

TEST(LinkTrace, ShiftsAndScales) {
  const LinkTrace trace(std::vector<LinkTrace::Step>{{0, 100}, {1, 300}}, 2);
  EXPECT_DOUBLE_EQ(trace.shifted(1.5).bytes_until(1), 200);
  EXPECT_DOUBLE_EQ(trace.scaled(10).bytes_until(2), 4000);
  const LinkTrace fast = trace.scaled(1, 0.5);
  EXPECT_DOUBLE_EQ(fast.bytes_per_s_at(0.6), 300);
  EXPECT_DOUBLE_EQ(fast.bytes_until(1), 200);
  EXPECT_DOUBLE_EQ(fast.next_change_s(0), 0.5);
  EXPECT_DOUBLE_EQ(fast.mean_bytes_per_s(), 200);
}

TEST(LinkTrace, IntegralAndInverseAgreeOnRandomTraces) {
  std::mt19937_64 random(41);
  std::uniform_real_distribution<double> unit(0.1, 3);
  for (int i = 0; i < 200; ++i) {
    const LinkTrace trace =
        random_trace(random, i % 2 == 0).shifted(unit(random)).scaled(unit(random), unit(random));
    double before = 0, summed = 0, next_s = 0;
    for (double at_s = 0.01; at_s < 9; at_s += 0.0973) {
      for (; next_s < at_s;) {
        const double to_s = std::min(at_s, trace.next_change_s(next_s));
        summed += (to_s - next_s) * trace.bytes_per_s_at(next_s);
        next_s = to_s;
      }
      const double bytes = trace.bytes_until(at_s);
      ASSERT_NEAR(bytes, summed, 1e-3 + 1e-6 * bytes);
      ASSERT_GE(bytes, before - 1e-6);
      before = bytes;
      const double when = trace.seconds_until(bytes * (1 - 1e-9) - 1e-3);
      ASSERT_LE(when, at_s + 1e-6);
      ASSERT_NEAR(trace.bytes_until(when), bytes, 2e-3 + 1e-6 * bytes);
    }
  }
}

double seconds_for(FluidLink& link, double now_s, std::vector<double>* ends) {
  while (link.running() > 0) {
    const double next_s = link.next_event_s(now_s, now_s + 1);
    for (size_t n = link.advance(now_s, next_s).ended.size(); n > 0; --n) {
      if (ends != nullptr) ends->push_back(next_s);
    }
    now_s = next_s;
  }
  return now_s;
}

TEST(FluidLink, SharesEquallyAndKeepsTheLinkFull) {
  const LinkTrace trace = LinkTrace::constant(1e6);
  SimulationParams params;
  params.rtt_s = 0.01;
  params.slow_start = false;
  FluidLink link(trace, params);
  link.start(1, 100'000, 0);
  link.start(2, 300'000, 0);
  std::vector<double> ends;
  seconds_for(link, 0, &ends);
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_NEAR(ends[0], 0.02 + 0.2, 1e-6);  // connect, request
  EXPECT_NEAR(ends[1], 0.02 + 0.4, 1e-6);
  link.start(3, 100'000, 1);
  EXPECT_NEAR(seconds_for(link, 1, nullptr), 1 + 0.01 + 0.1, 1e-6) << "the connection is kept";
  link.start(4, 100'000, 2);
  link.cancel(4, 2);
  EXPECT_EQ(link.running(), 0u);
}

TEST(FluidLink, WindowsDoubleEveryRoundTrip) {
  const LinkTrace trace = LinkTrace::constant(1e9);
  SimulationParams params;
  params.rtt_s = 0.1;
  params.connections = 1;
  FluidLink link(trace, params);
  link.start(1, 14'600 * 63, 0);  // 1 + 2 + 4 + 8 + 16 + 32 windows
  const double cold_s = seconds_for(link, 0, nullptr);
  EXPECT_NEAR(cold_s, 0.2 + 0.6, 0.1);
  link.start(2, 14'600 * 63, cold_s);
  EXPECT_LT(seconds_for(link, cold_s, nullptr) - cold_s, 0.35) << "the window stays";
}

TEST(PlannerLink, IsNeverBehindAFullLinkAndNeverAheadOfTheTrace) {
  std::mt19937_64 random(42);
  std::uniform_real_distribution<double> unit(0, 1);
  for (int i = 0; i < 60; ++i) {
    const LinkTrace trace = random_trace(random, true);
    SimulationParams params;
    params.rtt_s = 0.02 * unit(random);
    params.slow_start = i % 3 != 0;
    SimulatedPresentation presentation;
    presentation.manifest_bytes = 1 + random() % 50'000;
    const PlannerLink planner(presentation, trace, params);
    // All connections loading without end, from the manifest on.
    FluidLink link(trace, params);
    link.start(0, presentation.manifest_bytes, 0);
    double now_s = seconds_for(link, 0, nullptr), bytes = 0;
    ASSERT_LE(planner.manifest_s(), now_s + 1e-9);
    for (uint64_t id = 1; id <= params.connections; ++id) link.start(id, 1u << 30, now_s);
    while (now_s < 6) {
      const double next_s = link.next_event_s(now_s, now_s + 0.05);
      bytes += link.advance(now_s, next_s).bytes;
      now_s = next_s;
      ASSERT_LE(bytes, planner.bytes_until(now_s) * (1 + 1e-6) + 1) << i << " at " << now_s;
      ASSERT_LE(planner.bytes_until(now_s), trace.bytes_until(now_s) + 1e-6);
      ASSERT_LE(planner.seconds_until(bytes - 1), now_s + 1e-6);
    }
    EXPECT_GT(bytes, 0.7 * planner.bytes_until(now_s));
  }
}

}  // namespace
}  // namespace kvcast::player
