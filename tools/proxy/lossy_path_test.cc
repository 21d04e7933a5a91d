#include "tools/proxy/lossy_path.h"

#include <gtest/gtest.h>

namespace kvcast::proxy {
namespace {

// When the last of `segments` is delivered, all ready at 0.
double transfer_s(const PathParams& params, int segments) {
  LossyPath path(params);
  double last_s = 0;
  for (int i = 0; i < segments; ++i) last_s = path.deliver(0);
  return last_s;
}

TEST(LossyPath, WithoutDelayOrLossIsTransparent) {
  LossyPath path({});
  for (double time_s : {0.0, 0.5, 0.5, 2.0}) EXPECT_EQ(path.deliver(time_s), time_s);
}

TEST(LossyPath, SlowStartDoublesEveryRoundTrip) {
  const PathParams params{.rtt_s = 0.1};
  EXPECT_NEAR(transfer_s(params, 10), 0.05, 1e-12);
  EXPECT_NEAR(transfer_s(params, 11), 0.15, 1e-12);
  EXPECT_NEAR(transfer_s(params, 30), 0.15, 1e-12);  // 10 + 20
  EXPECT_NEAR(transfer_s(params, 70), 0.25, 1e-12);  // + 40
  EXPECT_NEAR(transfer_s(params, 71), 0.35, 1e-12);
}

TEST(LossyPath, DeliversInOrderAndNeverEarly) {
  LossyPath path({.rtt_s = 0.02, .loss = 0.2, .seed = 7});
  double before_s = 0;
  for (int i = 0; i < 5000; ++i) {
    const double ready_s = i * 0.001, delivered_s = path.deliver(ready_s);
    EXPECT_GE(delivered_s, ready_s + 0.01 - 1e-12);
    EXPECT_GE(delivered_s, before_s);
    before_s = delivered_s;
  }
}

TEST(LossyPath, ALongTransferGoesAtRenosRate) {
  // Mathis et al. 1997: rate = sqrt(3/2) / (rtt sqrt(p)) segments a second.
  const PathParams params{.rtt_s = 0.02, .loss = 0.01, .seed = 3};
  const int segments = 200'000;
  const double rate = segments / transfer_s(params, segments);
  const double mathis = 1.2247 / (0.02 * 0.1);
  EXPECT_GT(rate, 0.6 * mathis);
  EXPECT_LT(rate, 1.3 * mathis);
}

TEST(LossyPath, TheSeedDecidesTheLosses) {
  const auto total = [](uint64_t seed) {
    return transfer_s({.rtt_s = 0.02, .loss = 0.05, .seed = seed}, 500);
  };
  EXPECT_EQ(total(1), total(1));
  EXPECT_NE(total(1), total(2));
}

TEST(LossyPath, IdlenessShrinksTheWindow) {
  LossyPath path({.rtt_s = 0.1});
  for (int i = 0; i < 200; ++i) path.deliver(0);
  double last_s = 0;
  for (int i = 0; i < 11; ++i) last_s = path.deliver(10);
  EXPECT_NEAR(last_s, 10.15, 1e-9);
}

}  // namespace
}  // namespace kvcast::proxy
