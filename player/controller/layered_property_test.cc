// What the default controller promises, over random plays in virtual time.
#include <gtest/gtest.h>

#include <random>

#include "player/testing/observations.h"
#include "player/testing/simulated.h"

namespace kvcast::player {
namespace {

using testing::controller;
using testing::random_play;
using testing::RandomPlay;

constexpr double kMargin_s = 0.022;  // of the freeze

Optimum optimum_of(const RandomPlay& play) {
  return find_optimum(play.presentation, play.link, play.params);
}

SimulatedPlay run(const Controller& rule, const RandomPlay& play) {
  return simulate_play(rule, play.presentation, play.link, play.params);
}

void expect_sound(const RandomPlay& play, const SimulatedPlay& played) {
  ASSERT_TRUE(played.complete);
  for (size_t c = 0; c < played.chunks.size(); ++c) {
    const ChunkState& chunk = played.chunks[c];
    EXPECT_TRUE(chunk.in_sink()) << "chunk " << c;
    EXPECT_LE(chunk.held_level(), play.presentation.chunks[c].max_level) << "chunk " << c;
  }
}

TEST(LayeredProperty, MeetsTheDeadlineWhereverTheOptimumHasATenthToSpare) {
  std::mt19937 random(20);
  const auto layered = controller("layered");
  int tight = 0;
  for (int i = 0; i < 300; ++i) {
    RandomPlay play = random_play(random);
    const double least_s = optimum_of(play).least_ttft_s;
    if (least_s > 20) continue;
    play.params.ttft_slo_s = least_s / 0.9 + kMargin_s;
    const SimulatedPlay played = run(*layered, play);
    expect_sound(play, played);
    EXPECT_TRUE(played.met) << "play " << i << ": " << played.ttft_s << " s of "
                            << play.params.ttft_slo_s << ", optimum " << least_s;
    ++tight;
  }
  EXPECT_GT(tight, 200);
}

TEST(LayeredProperty, LateItStillHandsEverythingOver) {
  std::mt19937 random(21);
  const auto layered = controller("layered");
  for (int i = 0; i < 60; ++i) {
    RandomPlay play = random_play(random);
    const double least_s = optimum_of(play).least_ttft_s;
    if (least_s > 20) continue;
    play.params.ttft_slo_s = least_s / 2;
    const SimulatedPlay played = run(*layered, play);
    expect_sound(play, played);
    EXPECT_LE(played.ttft_s, 1.25 * least_s + 0.03) << "play " << i;
  }
}

TEST(LayeredProperty, FillsHolesFromText) {
  std::mt19937 random(22);
  const auto layered = controller("layered");
  for (int i = 0; i < 60; ++i) {
    RandomPlay play = random_play(random);
    play.link = LinkTrace::constant(10e6);
    play.params.ttft_slo_s = 0.3;
    play.params.lost = [](uint32_t c, uint32_t plane) { return (c * 7 + plane * 3) % 5 == 0; };
    expect_sound(play, run(*layered, play));
  }
}

TEST(LayeredProperty, MoreTimeIsNotWorse) {
  std::mt19937 random(23);
  const auto layered = controller("layered");
  for (int i = 0; i < 40; ++i) {
    RandomPlay play = random_play(random);
    const double least_s = optimum_of(play).least_ttft_s;
    if (least_s > 5) continue;
    play.params.ttft_slo_s = 1.2 * least_s + 0.02;
    const double some = run(*layered, play).quality;
    play.params.ttft_slo_s = 3 * least_s + 0.02;
    EXPECT_GE(run(*layered, play).quality, some - 0.02) << "play " << i;
  }
}

TEST(LayeredProperty, FinishesEarlyWhenAskedTo) {
  std::mt19937 random(25);
  const auto layered = controller("layered");
  for (int i = 0; i < 40; ++i) {
    RandomPlay play = random_play(random);
    const double least_s = optimum_of(play).least_ttft_s;
    if (least_s > 5) continue;
    play.params.ttft_slo_s = 4 * least_s + 0.1;
    play.params.finish_early = true;
    const SimulatedPlay played = run(*layered, play);
    expect_sound(play, played);
    EXPECT_LE(played.ttft_s, 0.75 * play.params.ttft_slo_s) << "play " << i;
  }
}

TEST(LayeredProperty, KeepsWithinItsLevels) {
  std::mt19937 random(26);
  for (const std::string_view name : controller_names()) {
    if (name == "text") continue;
    for (int i = 0; i < 10; ++i) {
      RandomPlay play = random_play(random);
      for (ChunkState& chunk : play.presentation.chunks) {
        chunk.min_level = 1;
        chunk.max_level = 2;
      }
      play.link = LinkTrace::constant(10e6);
      play.params.ttft_slo_s = 0.4;
      const SimulatedPlay played = run(*controller(name), play);
      ASSERT_TRUE(played.complete) << name;
      for (const ChunkState& chunk : played.chunks) {
        if (chunk.recomputed) continue;
        EXPECT_GE(chunk.decoded_level, 1) << name;
        EXPECT_LE(chunk.decoded_level, 2) << name;
      }
    }
  }
}

TEST(LayeredProperty, EngineTimeIsSpentByItsPrice) {
  std::mt19937 random(27);
  const auto layered = controller("layered");
  double free_s = 0, dear_s = 0;
  for (int i = 0; i < 40; ++i) {
    RandomPlay play = random_play(random);
    play.link = LinkTrace::constant(20e6);
    play.params.ttft_slo_s = 2 * optimum_of(play).least_ttft_s + 0.05;
    free_s += run(*layered, play).gpu_seconds;
    play.params.gpu_seconds_price = 100;
    const SimulatedPlay dear = run(*layered, play);
    dear_s += dear.gpu_seconds;
    EXPECT_TRUE(dear.met) << "play " << i;
  }
  EXPECT_LT(dear_s, 0.3 * free_s);
}

TEST(FixedProperty, EndsAtItsLevelHoweverLate) {
  std::mt19937 random(24);
  for (int i = 0; i < 20; ++i) {
    RandomPlay play = random_play(random);
    play.params.ttft_slo_s = 0.05;
    play.params.give_up_slos = 1000;
    play.link = LinkTrace::constant(5e6);
    const SimulatedPlay played = run(*controller("fixed:2"), play);
    expect_sound(play, played);
    for (const ChunkState& chunk : played.chunks) {
      EXPECT_EQ(chunk.decoded_level, std::min(2, chunk.max_level));
    }
    EXPECT_EQ(played.gpu_seconds, 0);
  }
}

}  // namespace
}  // namespace kvcast::player
