#include "player/estimator.h"

#include <gtest/gtest.h>

namespace kvcast::player {
namespace {

TEST(Throughput, CountsParallelTransfersOnce) {
  ThroughputEstimator link;
  link.body_begins(1.0, 0.02);
  link.body_begins(1.0, 0.02);
  for (int i = 1; i <= 100; ++i) {
    link.data(1.0 + 0.001 * i, 5000);
    link.data(1.0 + 0.001 * i, 5000);
  }
  EXPECT_NEAR(link.bytes_per_s(1.1), 10e6, 0.2e6);
}

TEST(Throughput, LeavesWaitingForFirstBytesOut) {
  ThroughputEstimator link;
  double now = 0;
  for (int transfer = 0; transfer < 20; ++transfer) {
    now += 0.05;  // nothing is received meanwhile
    link.body_begins(now, 0.05);
    for (int i = 0; i < 10; ++i) link.data(now += 0.001, 4000);
    link.body_ends(now);
  }
  EXPECT_NEAR(link.bytes_per_s(now + 1), 4e6, 0.1e6);
  EXPECT_DOUBLE_EQ(link.ttfb_s(), 0.05);
}

TEST(Throughput, FallsWhileAnOpenTransferBringsNothing) {
  ThroughputEstimator link(0, 0.1);
  link.body_begins(0, 0.001);
  for (int i = 1; i <= 200; ++i) link.data(0.001 * i, 10'000);
  EXPECT_NEAR(link.bytes_per_s(0.2), 10e6, 0.5e6);
  EXPECT_LT(link.bytes_per_s(0.4), 3e6);
}

TEST(Throughput, FollowsAChangeWithinAFewHalfLives) {
  ThroughputEstimator link(0, 0.05);
  link.body_begins(0, 0.001);
  double now = 0;
  for (int i = 0; i < 300; ++i) link.data(now += 0.001, 10'000);
  for (int i = 0; i < 300; ++i) link.data(now += 0.001, 1'000);
  EXPECT_NEAR(link.bytes_per_s(now), 1e6, 0.3e6);
}

TEST(Throughput, SaysItsPriorUntilItHasSeenEnough) {
  ThroughputEstimator link(7e6);
  EXPECT_EQ(link.bytes_per_s(0), 7e6);
  link.body_begins(0, 0.01);
  link.data(0.001, 1000);
  EXPECT_EQ(link.bytes_per_s(0.1), 7e6);
}

TEST(Decode, IsSharedByThePool) {
  DecodeEstimator decode;
  EXPECT_EQ(decode.seconds(10, 2), 0);
  decode.add(4, 2.0);
  EXPECT_DOUBLE_EQ(decode.seconds(8, 1), 4.0);
  EXPECT_DOUBLE_EQ(decode.seconds(8, 2), 2.0);
}

TEST(RecomputeCost, LearnsAScaleOnTopOfThePrior) {
  RecomputeEstimator cost(RecomputeCost{0.001, 1e-4, 1e-8});
  EXPECT_NEAR(cost.seconds(0, 1000), 0.001 + 0.1 + 1e-8 * 1000 * 500, 1e-9);
  for (uint64_t a = 0; a < 4096; a += 512) {
    const double n = 512, p = static_cast<double>(a) + n / 2;
    cost.add(a, a + 512, 2 * (0.001 + 1e-4 * n + 1e-8 * n * p));
  }
  const double truth = 2 * (0.001 + 1e-4 * 512 + 1e-8 * 512 * (4096 + 256));
  EXPECT_NEAR(cost.seconds(4096, 4096 + 512), truth, 0.1 * truth);
}

TEST(RecomputeCost, WithoutAPriorLearnsTheGrowth) {
  RecomputeEstimator cost(std::nullopt);
  EXPECT_EQ(cost.seconds(0, 128), 0);
  cost.add(0, 128, 0.02);
  EXPECT_NEAR(cost.seconds(128, 256), 0.02, 0.004);
  for (uint64_t a = 128; a < 1280; a += 128) {
    cost.add(a, a + 128, 0.02 + 2e-5 * static_cast<double>(a));
  }
  EXPECT_NEAR(cost.seconds(1280, 1408), 0.02 + 2e-5 * 1280, 0.004);
}

TEST(RecomputeCost, IsNeverNegative) {
  RecomputeEstimator cost(std::nullopt);
  for (uint64_t a = 0; a < 1024; a += 128) cost.add(a, a + 128, 1.0 / static_cast<double>(a + 128));
  for (uint64_t a = 0; a < 100'000; a += 128) ASSERT_GE(cost.seconds(a, a + 128), 0);
}

TEST(RecomputeCost, KnowsHowFarOffTheEnginesOwnNumbersAre) {
  RecomputeEstimator unknown(std::nullopt);
  unknown.add(0, 128, 5);
  EXPECT_EQ(unknown.slowdown(), 1);
  RecomputeEstimator cost(RecomputeCost{0, 1e-4, 0});
  EXPECT_EQ(cost.slowdown(), 1);
  for (int i = 0; i < 20; ++i) cost.add(0, 100, 0.005);
  EXPECT_EQ(cost.slowdown(), 1) << "a faster engine is no promise";
  for (int i = 0; i < 8; ++i) cost.add(0, 100, i % 2 == 0 ? 0.01 : 0.03);
  EXPECT_NEAR(cost.slowdown(), 3, 1e-9);
}

TEST(Freeze, LeavesTimeForTheTail) {
  EXPECT_LT(freeze_time(1.0, 0, 0), 1.0);
  EXPECT_LT(freeze_time(10.0, 1.0, 1.0), freeze_time(10.0, 0, 0) - 2);
  EXPECT_DOUBLE_EQ(freeze_time(10.0, 1.0, 0.5), freeze_time(10.0, 0.5, 1.0));
}

}  // namespace
}  // namespace kvcast::player
