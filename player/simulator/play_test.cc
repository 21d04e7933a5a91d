// Laws that every simulated play keeps, whatever the controller.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "player/simulator.h"
#include "player/testing/observations.h"
#include "player/testing/simulated.h"

namespace kvcast::player {
namespace {

using testing::controller;
using testing::random_play;
using testing::RandomPlay;

// Watches a play: what may change, when.
class Watch {
 public:
  void operator()(const Observation& seen, const Choice& choice) {
    EXPECT_GE(seen.now_s, last_.now_s);
    if (last_.frozen) {
      EXPECT_TRUE(seen.frozen) << "a freeze is for good";
      EXPECT_FALSE(seen.recomputing);
      EXPECT_EQ(seen.in_flight_bytes, 0u);
      for (size_t c = 0; c < seen.chunks.size(); ++c) {
        EXPECT_EQ(seen.chunks[c].held, last_.chunks[c].held) << "nothing comes after the freeze";
        EXPECT_EQ(seen.chunks[c].recomputed, last_.chunks[c].recomputed);
      }
    }
    for (size_t c = 0; c < last_.chunks.size(); ++c) {
      EXPECT_GE(seen.chunks[c].decoded_level, last_.chunks[c].decoded_level);
      EXPECT_TRUE(seen.chunks[c].recomputed || !last_.chunks[c].recomputed);
    }
    if (seen.recomputing) {
      for (uint32_t c = 0; c < *seen.recomputing; ++c) {
        EXPECT_TRUE(seen.chunks[c].in_sink()) << "recompute reads all KV before it";
        EXPECT_LT(seen.chunks[c].decoding_level, 0) << "and none of it may change meanwhile";
      }
    }
    EXPECT_LE(seen.free_transfers, 4u);
    EXPECT_GE(seen.engine_slack, 1);
    if (!seen.frozen && choice.freeze) ++freezes_;
    last_ = seen;
  }
  int freezes() const { return freezes_; }

 private:
  Observation last_;
  int freezes_ = 0;
};

TEST(SimulatedPlay, KeepsItsLawsUnderEveryController) {
  std::mt19937 random(61);
  for (const std::string_view name : controller_names()) {
    const auto rule = controller(name);
    for (int i = 0; i < 25; ++i) {
      RandomPlay play = random_play(random);
      play.params.slow_start = i % 2 == 0;
      play.presentation.profile_bytes = i % 3 == 0 ? 30'000 : 0;
      const Optimum least = find_optimum(play.presentation, play.link, play.params);
      if (!std::isfinite(least.least_ttft_s)) continue;
      play.params.ttft_slo_s =
          least.least_ttft_s * std::uniform_real_distribution<double>(0.6, 2)(random);
      Watch watch;
      play.params.on_decision = [&](const Observation& seen, const Choice& choice) {
        watch(seen, choice);
      };
      const SimulatedPlay played = simulate_play(*rule, play.presentation, play.link, play.params);
      const Optimum optimum = find_optimum(play.presentation, play.link, play.params);
      EXPECT_LE(played.bytes, play.link.bytes_until(played.ttft_s) + 1) << name << i;
      EXPECT_LE(played.gpu_seconds, played.ttft_s + 1e-9);
      EXPECT_EQ(watch.freezes() > 0, played.complete) << name << i;
      if (!played.complete) continue;
      EXPECT_GE(played.ttft_s, optimum.least_ttft_s - 1e-6) << name << i;
      for (const ChunkState& chunk : played.chunks) EXPECT_TRUE(chunk.in_sink()) << name << i;
      if (played.met) {
        EXPECT_TRUE(optimum.feasible) << name << i;
        EXPECT_LE(played.quality, optimum.quality + 2e-6) << name << i;
      }
    }
  }
}

TEST(SimulatedPlay, TakesAsLongAsItsBytes) {
  // One chunk of 100 kB at 1 MB/s, 10 ms a round trip: connect, manifest (4,096 bytes), request.
  SimulatedPresentation presentation;
  presentation.chunks = {testing::chunk_of(100'000, 10)};
  SimulationParams params;
  params.rtt_s = 0.01;
  params.slow_start = false;
  params.suffix_prefill_s = 0.005;
  const SimulatedPlay played =
      simulate_play(*controller("fixed:0"), presentation, LinkTrace::constant(1e6), params);
  EXPECT_NEAR(played.ttft_s, 0.02 + 0.004096 + 0.01 + 0.1 + 0.0005 + 0.005, 1e-6);
  EXPECT_NEAR(played.bytes, 104'096, 1);
  EXPECT_DOUBLE_EQ(played.quality, 0.85);
  EXPECT_TRUE(played.met);
  const SimulatedPlay text =
      simulate_play(*controller("text"), presentation, LinkTrace::constant(1e6), params);
  EXPECT_NEAR(text.ttft_s, 0.02 + 0.004096 + 10 + 0.005, 1e-6);
  EXPECT_NEAR(text.gpu_seconds, 10, 1e-9);
  EXPECT_FALSE(text.met);
}

TEST(SimulatedPlay, IsTheSameEveryTime) {
  std::mt19937 random(62);
  RandomPlay play = random_play(random, 30);
  play.params.ttft_slo_s = 0.5;
  const auto layered = controller("layered");
  const SimulatedPlay once = simulate_play(*layered, play.presentation, play.link, play.params);
  const SimulatedPlay again = simulate_play(*layered, play.presentation, play.link, play.params);
  EXPECT_EQ(once.ttft_s, again.ttft_s);
  EXPECT_EQ(once.bytes, again.bytes);
  EXPECT_EQ(once.quality, again.quality);
  EXPECT_EQ(once.decisions, again.decisions);
}

TEST(SimulatedPlay, EndsWhenNothingCanBeDone) {
  std::mt19937 random(63);
  RandomPlay play = random_play(random, 4);
  play.link = LinkTrace({{0, 1e6}, {0.1, 0}});
  play.params.ttft_slo_s = 0.2;
  play.params.recompute = false;
  const SimulatedPlay dead =
      simulate_play(*controller("layered"), play.presentation, play.link, play.params);
  EXPECT_FALSE(dead.complete);
  EXPECT_FALSE(dead.met);
  EXPECT_GT(dead.ttft_s, play.params.ttft_slo_s);
  play.params.lost = [](uint32_t, uint32_t plane) { return plane == 0; };
  EXPECT_FALSE(
      simulate_play(*controller("layered"), play.presentation, play.link, play.params).complete);
}

TEST(SimulatedPlay, ASlowerEngineIsNoticed) {
  std::mt19937 random(64);
  RandomPlay play = random_play(random, 20);
  play.params.ttft_slo_s = 1;
  play.params.engine_slowdown = 3;
  double slack = 0;
  play.params.on_decision = [&](const Observation& seen, const Choice&) {
    slack = std::max(slack, seen.engine_slack);
  };
  simulate_play(*controller("layered"), play.presentation, play.link, play.params);
  EXPECT_GT(slack, 1.5);
}

}  // namespace
}  // namespace kvcast::player
