#include "player/estimator.h"

#include <gtest/gtest.h>

namespace kvcast::player {
namespace {

TEST(Decode, IsSharedByThePool) {
  DecodeEstimator decode;
  EXPECT_EQ(decode.seconds(10, 2), 0);
  decode.add(4, 2.0);
  EXPECT_DOUBLE_EQ(decode.seconds(8, 1), 4.0);
  EXPECT_DOUBLE_EQ(decode.seconds(8, 2), 2.0);
}

TEST(Decode, BeginsWithWhatEarlierPlaysTookAndForgetsItSoon) {
  DecodeEstimator decode;
  decode.set_prior({0.5, 0.1});
  EXPECT_DOUBLE_EQ(decode.seconds(8, 2), 2.0);
  EXPECT_EQ(decode.measured().median, 0) << "a prior is no measure";
  DecodeEstimator vague = decode;
  vague.set_prior({0.5, 3});
  for (int i = 0; i < 20; ++i) {
    decode.add(0.05, 0.005);
    vague.add(0.05, 0.005);
  }
  EXPECT_NEAR(decode.seconds(1, 1), 0.1, 0.2);
  EXPECT_NEAR(vague.seconds(1, 1), 0.1, 0.01) << "a vague one sooner";
  EXPECT_NEAR(decode.measured().median, 0.1, 1e-9);
  decode.set_prior({});
  EXPECT_GT(decode.seconds(1, 1), 0.1) << "nothing known replaces nothing";
}

TEST(RateText, SaysWhenItIsNotKnown) {
  EXPECT_EQ(rate_text(3.21e6), "3.21 MB/s");
  EXPECT_EQ(rate_text(0), "an unknown rate");
}

TEST(RecomputeCost, BeginsWithWhatEarlierPlaysLearned) {
  const RecomputeCost learned{0.002, 2e-4, 0}, engines{0, 1e-4, 0};
  RecomputeEstimator alone({}, learned), both(engines, learned);
  EXPECT_NEAR(alone.seconds(0, 1000), 0.202, 1e-9);
  EXPECT_NEAR(both.seconds(0, 1000), 0.151, 1e-9) << "the mean of what both say";
  EXPECT_FALSE(alone.measured());
  alone.add(0, 1000, 0.404);
  both.add(0, 1000, 0.2);
  EXPECT_EQ(alone.slowdown(), 1) << "the engine said nothing";
  EXPECT_NEAR(both.slowdown(), 2, 1e-6) << "than the engine said, whatever was learned";
  ASSERT_TRUE(both.measured());
  EXPECT_GT(both.measured()->per_token_s, 1e-4);
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

TEST(EngineSlack, ShrinksWithSamplesAndGrowsWithWhatCameLate) {
  EngineSlack slack;
  const double doubtful = slack.value();
  EXPECT_GT(doubtful, 1.1);
  for (int i = 0; i < 10; ++i) slack.add(0.1, 0.1);
  const double sure = slack.value();
  EXPECT_LT(sure, 1.05);
  EXPECT_GT(sure, 1);
  EngineSlack fast;
  for (int i = 0; i < 10; ++i) fast.add(0.1, 0.05);
  EXPECT_DOUBLE_EQ(fast.value(), sure) << "an engine that is early is no promise";
  slack.add(0.1, 0.15);
  EXPECT_GT(slack.value(), 1.1);
  for (int i = 0; i < 40; ++i) slack.add(0.1, 0.1);
  EXPECT_LT(slack.value(), 1.05) << "forgiven";
  slack.add(0, 1);  // nothing was predicted
  EXPECT_LT(slack.value(), 1.05);
}

TEST(Freeze, LeavesTimeForTheTail) {
  EXPECT_LT(freeze_time(1.0, 0, 0), 1.0);
  EXPECT_LT(freeze_time(10.0, 1.0, 1.0), freeze_time(10.0, 0, 0) - 2);
  EXPECT_DOUBLE_EQ(freeze_time(10.0, 1.0, 0.5), freeze_time(10.0, 0.5, 1.0));
}

}  // namespace
}  // namespace kvcast::player
