#include "player/throughput.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "player/estimator/normal.h"

namespace kvcast::player {
namespace {

TEST(Throughput, CountsParallelTransfersOnce) {
  ThroughputEstimator link;
  link.body_begins(1.0);
  link.body_begins(1.0);
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
    link.body_begins(now);
    for (int i = 0; i < 10; ++i) link.data(now += 0.001, 4000);
    link.body_ends(now);
  }
  EXPECT_NEAR(link.bytes_per_s(now + 1), 4e6, 0.1e6);
}

TEST(Throughput, FallsWhileAnOpenTransferBringsNothing) {
  ThroughputEstimator link(0, 0.1);
  link.body_begins(0);
  for (int i = 1; i <= 200; ++i) link.data(0.001 * i, 10'000);
  EXPECT_NEAR(link.bytes_per_s(0.2), 10e6, 0.5e6);
  EXPECT_LT(link.bytes_per_s(0.4), 3e6);
}

TEST(Throughput, FollowsAChangeWithinAFewHalfLives) {
  ThroughputEstimator link(0, 0.05);
  link.body_begins(0);
  double now = 0;
  for (int i = 0; i < 300; ++i) link.data(now += 0.001, 10'000);
  for (int i = 0; i < 300; ++i) link.data(now += 0.001, 1'000);
  EXPECT_NEAR(link.bytes_per_s(now), 1e6, 0.3e6);
}

// A server that paces what its sockets could send much faster says so in good faith (CMSD etp).
TEST(Throughput, APriorAThousandTimesTooFastIsSoonOutweighed) {
  ThroughputEstimator link;
  link.set_prior({4e9, 1});
  link.body_begins(0);
  for (int ms = 5; ms <= 300; ms += 5) {
    link.data(ms * 1e-3, 3000);
    if (ms == 100) {
      EXPECT_LT(link.bytes_per_s(0.1), 3 * 6e5);
    }
  }
  EXPECT_NEAR(link.bytes_per_s(0.3), 6e5, 0.25 * 6e5);
}

TEST(Throughput, ANarrowPriorOutlivesAWideOne) {
  ThroughputEstimator link;
  link.set_prior({1e6, 0.3});
  link.set_prior({4e9, 1});
  EXPECT_EQ(link.bytes_per_s(0), 1e6);
}

TEST(Throughput, SaysItsPriorUntilItHasSeenEnoughThenAverages) {
  ThroughputEstimator link(7e6);
  EXPECT_EQ(link.bytes_per_s(0), 7e6);
  link.body_begins(0);
  link.data(0.001, 1000);
  EXPECT_EQ(link.bytes_per_s(0.1), 7e6);
  double now = 0.1;
  for (int i = 0; i < 50; ++i) link.data(now += 0.001, 1000);
  EXPECT_GT(link.bytes_per_s(now), 0.2e6);
  for (int i = 0; i < 2000; ++i) link.data(now += 0.001, 1000);
  EXPECT_NEAR(link.bytes_per_s(now), 1e6, 0.05e6);
  link.set_prior({9e6, 0.1});
  EXPECT_NEAR(link.bytes_per_s(now), 1e6, 0.05e6) << "it knows better by now";
}

TEST(Throughput, DropsTimeInWhichThisSideDidNotRead) {
  ThroughputEstimator link;
  link.body_begins(0);
  double now = 0;
  for (int i = 0; i < 100; ++i) link.data(now += 0.001, 5000);
  link.pause(now);
  EXPECT_NEAR(link.bytes_per_s(now + 2), 5e6, 0.1e6);
  link.resume(now += 2);
  link.data(now += 0.001, 3'000'000);  // what had piled up in the sockets
  for (int i = 0; i < 20; ++i) link.data(now += 0.001, 5000);
  EXPECT_NEAR(link.bytes_per_s(now), 5e6, 0.3e6);
}

TEST(Throughput, TellsCachesFromTheOrigin) {
  ThroughputEstimator link;
  double now = 0;
  const auto receive = [&](Tier tier, int pieces, uint64_t bytes) {
    link.body_begins(now, tier);
    for (int i = 0; i < pieces; ++i) link.data(now += 0.001, bytes, tier);
    link.body_ends(now, tier);
  };
  receive(Tier::kOrigin, 100, 1'000);
  receive(Tier::kCache, 100, 50'000);
  EXPECT_NEAR(link.bytes_per_s(now, Tier::kOrigin), 1e6, 0.1e6);
  EXPECT_NEAR(link.bytes_per_s(now, Tier::kCache), 50e6, 1e6);
  EXPECT_GT(link.cached_share(), 0.99);
  EXPECT_GT(link.bytes_per_s(now), 20e6);
  receive(Tier::kOrigin, 200, 1'000);
  EXPECT_LT(link.cached_share(), 0.1);
  EXPECT_LT(link.bytes_per_s(now), 1.5e6) << "misses again: the origin's rate counts";
}

TEST(Throughput, SharesOneLinkFairlyWhenBothTiersReceive) {
  ThroughputEstimator link;
  link.body_begins(0, Tier::kOrigin);
  link.body_begins(0, Tier::kCache);
  double now = 0;
  for (int i = 0; i < 300; ++i) {
    link.data(now += 0.001, 4000, Tier::kOrigin);
    link.data(now += 0.001, 4000, Tier::kCache);
  }
  EXPECT_NEAR(link.bytes_per_s(now), 4e6, 0.2e6);
}

TEST(Throughput, SpreadTellsSteadyLinksFromWildOnes) {
  ThroughputEstimator steady, wild;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  steady.body_begins(0);
  wild.body_begins(0);
  for (int i = 1; i <= 4000; ++i) {
    static double factor = 1;
    if (i % 20 == 0) factor = std::exp(0.8 * normal(random));
    steady.data(0.001 * i, 10'000);
    wild.data(0.001 * i, static_cast<uint64_t>(10'000 * factor));
  }
  EXPECT_LT(steady.spread(4).log_sd, 0.1);
  EXPECT_GT(wild.spread(4).log_sd, 0.4);
  EXPECT_LT(wild.spread(4).log_sd, 1.4);
}

TEST(Tier, IsWhatTheHeadersSay) {
  const auto tier = [](const char* status, std::optional<uint64_t> age, bool varnish = false) {
    ResponseHeaders headers;
    headers.cache_status = status;
    headers.age_s = age;
    headers.varnish_hit = varnish;
    return tier_of(headers);
  };
  for (const char* hit : {"ExampleCache; hit", "origin; fwd=miss, edge;hit;ttl=10",
                          "Hit from cloudfront", "HIT", "TCP_HIT", "MISS, HIT"}) {
    EXPECT_EQ(tier(hit, {}), Tier::kCache) << hit;
  }
  for (const char* miss : {"", "edge; fwd=uri-miss", "Miss from cloudfront", "white; fwd=miss"}) {
    EXPECT_EQ(tier(miss, {}), Tier::kOrigin) << miss;
  }
  EXPECT_EQ(tier("", 0), Tier::kOrigin);
  EXPECT_EQ(tier("", 3), Tier::kCache);
  EXPECT_EQ(tier("", 0, true), Tier::kCache);
}

TEST(Latency, QuantilesHoldOnSamplesOfALognormal) {
  LatencyEstimator latency;
  EXPECT_EQ(latency.spread().median, 0);
  std::mt19937_64 random(5);
  std::lognormal_distribution<double> sample(std::log(0.02), 0.3);
  for (int i = 0; i < 50; ++i) latency.add(sample(random));
  int below = 0;
  for (int i = 0; i < 4000; ++i) {
    const double next = sample(random);
    below += next <= latency.spread().quantile(0.95);
    latency.add(next);
  }
  EXPECT_GT(below, 4000 * 88 / 100);
  EXPECT_LT(below, 4000 * 99 / 100);
}

TEST(Latency, PriorsFadeAndComeTooLateAfterSamples) {
  LatencyEstimator latency;
  latency.set_prior({0.1, 0.2});
  EXPECT_NEAR(latency.spread().median, 0.1, 1e-9);
  EXPECT_EQ(latency.samples(), 0u);
  for (int i = 0; i < 100; ++i) latency.add(0.01);
  EXPECT_NEAR(latency.spread().median, 0.01, 0.001);
  latency.set_prior({5, 0.2});
  EXPECT_NEAR(latency.spread().median, 0.01, 0.001);
}

TEST(Normal, QuantilesMatchTables) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-3);
  EXPECT_NEAR(normal_quantile(0.95), 1.6449, 1e-3);
  EXPECT_NEAR(normal_quantile(0.01), -2.3263, 1e-3);
  EXPECT_NEAR(normal_quantile(0.999), 3.0902, 1e-3);
  EXPECT_TRUE(std::isfinite(normal_quantile(0)));
  EXPECT_TRUE(std::isfinite(normal_quantile(1)));
}

TEST(Forecast, AddsTheRoundTripsOfSlowStart) {
  LinkForecast link{{100e6, 0}, {0.02, 0}, 0.02, 0};
  EXPECT_NEAR(link.seconds_for(10'000, 0.5), 0.02 + 1e-4, 1e-6) << "inside the first window";
  // 14.6 kB, twice that, and so on: eight round trips, the last with 1.87 MB; then 2 MB each.
  const double all = 14.6e3 * 255;
  EXPECT_NEAR(link.seconds_for(10'000'000, 0.5), 0.02 + 8 * 0.02 + (10e6 - all) / 100e6, 1e-6);
  link.carried_bytes = 1 << 20;
  EXPECT_LT(link.seconds_for(10'000'000, 0.5), 0.02 + 0.02 + 0.1);
  link.rtt_s = 0;
  EXPECT_NEAR(link.seconds_for(10'000'000, 0.5), 0.12, 1e-3);
  EXPECT_EQ(LinkForecast{}.seconds_for(1000, 0.5), 0);
}

TEST(Forecast, QuantilesAndSizesAreInOrderAndLongTransfersLessVague) {
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> unit;
  for (int round = 0; round < 500; ++round) {
    const LinkForecast link{{std::exp(10 + 10 * unit(random)), unit(random)},
                            {0.001 + 0.1 * unit(random), unit(random)},
                            0.1 * unit(random),
                            random() % 100'000};
    double last = 0;
    for (const double quantile : {0.05, 0.25, 0.5, 0.75, 0.95}) {
      const double seconds = link.seconds_for(1'000'000, quantile);
      EXPECT_GT(seconds, last);
      last = seconds;
    }
    EXPECT_LE(link.seconds_for(500'000, 0.9), last + link.seconds_for(1'000'000, 0.9));
  }
  const LinkForecast link{{1e6, 0.5}, {0.001, 0}, 0, 0};
  const auto vagueness = [&](uint64_t bytes) {
    return link.seconds_for(bytes, 0.95) / link.seconds_for(bytes, 0.5);
  };
  EXPECT_GT(vagueness(50'000), vagueness(5'000'000));
}

}  // namespace
}  // namespace kvcast::player
