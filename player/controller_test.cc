#include "player/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "player/testing/virtual_play.h"

namespace kvcast::player {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<Controller> controller(std::string_view name) {
  auto made = make_controller(name);
  EXPECT_TRUE(made) << name;
  return std::move(*made);
}

ChunkState chunk_of(uint64_t base_bytes, double recompute_s) {
  ChunkState chunk;
  chunk.tokens = 128;
  chunk.recompute_s = recompute_s;
  const double quality[] = {0.85, 0.93, 0.97, 0.99};
  const double bytes[] = {1, 0.4, 0.45, 0.5};
  for (int n = 0; n < 4; ++n) {
    chunk.ladder.push_back({static_cast<uint64_t>(static_cast<double>(base_bytes) * bytes[n]),
                            quality[n], 0.0005 * (n + 1)});
  }
  chunk.max_level = 3;
  return chunk;
}

Observation view_of(size_t chunks) {
  Observation seen;
  seen.deadline_s = 1;
  seen.freeze_s = 0.9;
  seen.chunks.assign(chunks, chunk_of(50'000, 0.1));
  seen.recompute_available = true;
  seen.free_transfers = 4;
  seen.free_decodes = 2;
  seen.rate_bytes_per_s = 1e6;
  return seen;
}

std::vector<uint32_t> chunks_of(const std::vector<Fetch>& fetches) {
  std::vector<uint32_t> chunks;
  for (const Fetch& fetch : fetches) chunks.push_back(fetch.chunk);
  return chunks;
}

TEST(Registry, KnowsItsNamesAndListsThemForOthers) {
  for (const char* name : {"layered", "text", "fixed:0", "fixed:7"}) {
    EXPECT_TRUE(make_controller(name)) << name;
  }
  for (const char* name : {"", "layer", "fixed", "fixed:", "fixed:8", "fixed:1x", "fixed:-1"}) {
    const auto made = make_controller(name);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, manifests::ErrorKind::kUsage);
    EXPECT_THAT(made.error().message, HasSubstr("layered, text, or fixed:0"));
  }
}

TEST(ChunkState, LevelsAreRunsOfPlanes) {
  ChunkState chunk = chunk_of(1000, 1);
  EXPECT_EQ(chunk.held_level(), -1);
  chunk.held = 0b1011;
  chunk.fetching = 0b0100;
  EXPECT_EQ(chunk.held_level(), 1);
  EXPECT_EQ(chunk.coming_level(), 3);
}

TEST(Layered, StartsAtBothEnds) {
  Observation seen = view_of(8);
  seen.rate_bytes_per_s = 0;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  EXPECT_THAT(choice.recompute_reason, HasSubstr("100.0 ms"));
  EXPECT_THAT(chunks_of(choice.start), testing::ElementsAre(7, 6, 5, 4));
  for (const Fetch& fetch : choice.start) {
    EXPECT_EQ(fetch.plane, 0u);
    EXPECT_TRUE(fetch.urgent);
    EXPECT_THAT(fetch.reason, HasSubstr("50000 bytes"));
  }
  EXPECT_FALSE(choice.freeze);
}

TEST(Layered, ABaseWaitsForAnEngineThatComesInTimeIfTheLinkCouldStillBringIt) {
  Observation seen = view_of(16);
  seen.free_transfers = 16;
  seen.rate_bytes_per_s = 10e6;  // the bases of all chunks in 80 ms
  // 0.9 s at 0.1 s a chunk: the engine has done chunks 0 to 3 in half of it.
  for (const Fetch& fetch : controller("layered")->decide(seen).start) EXPECT_GE(fetch.chunk, 4u);
  // Half of 0.9 s brings 180 kB: chunks 0 to 2 wait.
  seen.rate_bytes_per_s = 400'000;
  for (uint32_t c = 4; c < 16; ++c) seen.chunks[c].held = 1;
  const Choice insured = controller("layered")->decide(seen);
  ASSERT_FALSE(insured.start.empty());
  EXPECT_EQ(insured.start[0].chunk, 3u);
  EXPECT_TRUE(insured.start[0].urgent);
  seen.recompute_available = false;
  const Choice alone = controller("layered")->decide(seen);
  EXPECT_EQ(std::count_if(alone.start.begin(), alone.start.end(),
                          [](const Fetch& fetch) { return fetch.urgent; }),
            4);
}

TEST(Layered, FetchesTheFloorOfEveryChunk) {
  Observation seen = view_of(3);
  seen.rate_bytes_per_s = 0;
  for (ChunkState& chunk : seen.chunks) chunk.min_level = 1;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.start.size(), 4u);
  EXPECT_THAT(chunks_of(choice.start), testing::ElementsAre(2, 2, 1, 1));
  EXPECT_EQ(choice.start[1].plane, 1u);
}

TEST(Layered, LeavesABaseToTheEngineThatIsSooner) {
  Observation seen = view_of(2);
  seen.chunks[1].held = 1;
  seen.recomputing = 0;
  seen.recompute_elapsed_s = 0.08;  // 20 ms left; the base would take 50
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  for (const Fetch& fetch : choice.start) EXPECT_NE(fetch.chunk, 0u);
  seen.recompute_elapsed_s = 0;
  seen.freeze_s = 0.12;  // too close to rely on the engine
  const Choice early = controller("layered")->decide(seen);
  EXPECT_EQ(early.start.at(0).chunk, 0u);
}

TEST(Layered, UpgradesWhatRecomputationWillNotReach) {
  Observation seen = view_of(12);
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  ASSERT_EQ(choice.start.size(), 4u);
  for (const Fetch& fetch : choice.start) {
    EXPECT_GE(fetch.chunk, 8u);  // 0.9 s at 0.1 s a chunk, less a tenth
    EXPECT_EQ(fetch.plane, 1u);
    EXPECT_FALSE(fetch.urgent);
    EXPECT_THAT(fetch.reason, HasSubstr("quality 0.93"));
  }
}

TEST(Layered, UpgradesBySteepestWayUp) {
  Observation seen = view_of(2);
  seen.recompute_available = false;
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  // A worthless plane 1 before a plane 2 that brings everything: the way through both is steepest.
  seen.chunks[1].ladder[1].quality = 0.85;
  seen.chunks[1].ladder[1].bytes = 10;
  seen.chunks[1].ladder[2] = {1000, 0.99, 0.001};
  seen.free_transfers = 2;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.start.size(), 2u);
  EXPECT_EQ(choice.start[0].chunk, 1u);
  EXPECT_EQ(choice.start[0].plane, 1u);
  EXPECT_EQ(choice.start[1].chunk, 1u);
  EXPECT_EQ(choice.start[1].plane, 2u);
}

TEST(Layered, StartsNoUpgradeThatWouldComeTooLate) {
  Observation seen = view_of(4);
  seen.recompute_available = false;
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  seen.now_s = 0.89;  // 10 ms at 1 MB/s for 20 kB
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_THAT(choice.start, IsEmpty());
  EXPECT_TRUE(choice.freeze);
  EXPECT_THAT(choice.freeze_reason, HasSubstr("nothing better"));
}

TEST(Layered, CancelsWhatWasRecomputed) {
  Observation seen = view_of(3);
  seen.chunks[0].recomputed = true;
  seen.chunks[0].fetching = 1;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.cancel.size(), 1u);
  EXPECT_EQ(choice.cancel[0].chunk, 0u);
  EXPECT_EQ(choice.recompute, 1);
}

TEST(Layered, CancelsUpgradesForAMissingBaseInAHurry) {
  Observation seen = view_of(4);
  seen.recompute_available = false;
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  seen.chunks[2].held = 0;
  seen.chunks[3].fetching = 0b10;
  seen.now_s = 0.82;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.cancel.size(), 1u);
  EXPECT_EQ(choice.cancel[0].chunk, 3u);
  EXPECT_EQ(choice.cancel[0].plane, 1u);
  EXPECT_THAT(chunks_of(choice.start), testing::ElementsAre(2));
}

TEST(Layered, JumpsToAHoleTheNetworkCannotFill) {
  Observation seen = view_of(16);
  for (ChunkState& chunk : seen.chunks) {
    chunk.held = 1;
    chunk.decoded_level = 0;
  }
  seen.chunks[12].held = 0;
  seen.chunks[12].decoded_level = -1;
  seen.chunks[12].max_level = -1;
  EXPECT_EQ(controller("layered")->decide(seen).recompute, 12);
  // Within reach of the front it waits its turn.
  seen.chunks[12] = seen.chunks[3];
  seen.chunks[3].held = 0;
  seen.chunks[3].decoded_level = -1;
  seen.chunks[3].max_level = -1;
  EXPECT_EQ(controller("layered")->decide(seen).recompute, 0);
}

TEST(Layered, PricedEngineTimeIsSpentOnlyWhereItIsNeeded) {
  Observation seen = view_of(8);
  seen.gpu_seconds_price = 10;
  EXPECT_FALSE(controller("layered")->decide(seen).recompute);
  seen.rate_bytes_per_s = 100'000;  // 4 s for the bases: the deadline has no price
  EXPECT_EQ(controller("layered")->decide(seen).recompute, 0);
}

TEST(Layered, FreezesOnlyWithEveryChunkInHand) {
  Observation seen = view_of(3);
  seen.recompute_available = false;
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  seen.now_s = 0.95;
  EXPECT_TRUE(controller("layered")->decide(seen).freeze);
  seen.chunks[1].held = 0;
  const Choice late = controller("layered")->decide(seen);
  EXPECT_FALSE(late.freeze);
  EXPECT_THAT(chunks_of(late.start), testing::ElementsAre(1));
}

TEST(Layered, FrozenItOnlyDecodes) {
  Observation seen = view_of(3);
  for (ChunkState& chunk : seen.chunks) {
    chunk.held = 0b11;
    chunk.decoded_level = 0;
  }
  seen.frozen = true;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_THAT(choice.start, IsEmpty());
  EXPECT_FALSE(choice.recompute);
  EXPECT_EQ(choice.decode.size(), 3u);
  EXPECT_EQ(choice.decode[0].level, 1u);
}

TEST(Layered, DecodesBasesAtOnceAndUpgradesInBatches) {
  Observation seen = view_of(3);
  seen.recompute_available = false;
  seen.chunks[0].held = 1;
  seen.chunks[1].held = 0b11;
  seen.chunks[1].decoded_level = 0;  // waits for planes 2 and 3
  seen.chunks[2].held = 0b1111;
  seen.chunks[2].decoded_level = 0;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.decode.size(), 2u);
  EXPECT_EQ(choice.decode[0].chunk, 0u);
  EXPECT_EQ(choice.decode[1].chunk, 2u);
  EXPECT_EQ(choice.decode[1].level, 3u);
}

TEST(Fixed, FetchesItsLevelFromTheFrontAndNothingElse) {
  const Choice choice = controller("fixed:1")->decide(view_of(4));
  EXPECT_THAT(chunks_of(choice.start), testing::ElementsAre(0, 0, 1, 1));
  EXPECT_FALSE(choice.recompute);
}

TEST(Text, RecomputesInOrderAndFetchesNothing) {
  Observation seen = view_of(2);
  EXPECT_EQ(controller("text")->decide(seen).recompute, 0);
  seen.chunks[0].recomputed = true;
  EXPECT_EQ(controller("text")->decide(seen).recompute, 1);
  seen.chunks[1].recomputed = true;
  const Choice done = controller("text")->decide(seen);
  EXPECT_TRUE(done.freeze);
  EXPECT_THAT(done.start, IsEmpty());
}

VirtualPlay random_play(std::mt19937& random) {
  const auto uniform = [&](double a, double b) {
    return std::uniform_real_distribution<double>(a, b)(random);
  };
  VirtualPlay play;
  const auto count = static_cast<size_t>(uniform(3, 40));
  const double recompute_s = uniform(0.005, 0.06), growth = uniform(0, 0.05);
  const double base_bytes = uniform(20'000, 200'000);
  for (size_t c = 0; c < count; ++c) {
    play.chunks.push_back(chunk_of(static_cast<uint64_t>(base_bytes * uniform(0.7, 1.3)),
                                   recompute_s * (1 + growth * static_cast<double>(c))));
    play.chunks.back().max_level = static_cast<int>(uniform(0, 4));
  }
  const double rate = uniform(1e6, 30e6), fall_s = uniform(0, 1), after = uniform(0, 1.5);
  play.rate_bytes_per_s = [=](double t) { return t < fall_s ? rate : rate * after; };
  // Four connections keep the link full: a transfer takes as long as its first byte, or longer.
  play.ttfb_s = uniform(0.1, 1) * std::min(0.01, 0.7 * base_bytes / (rate * std::max(1.0, after)));
  return play;
}

void expect_sound(const VirtualPlay& play, const VirtualOutcome& outcome) {
  ASSERT_TRUE(outcome.complete);
  for (size_t c = 0; c < outcome.chunks.size(); ++c) {
    const ChunkState& chunk = outcome.chunks[c];
    EXPECT_TRUE(chunk.in_sink()) << "chunk " << c;
    EXPECT_LE(chunk.held_level(), play.chunks[c].max_level) << "chunk " << c;
  }
}

TEST(LayeredProperty, MeetsTheDeadlineWhereverTheOptimumHasATenthToSpare) {
  std::mt19937 random(20);
  const auto layered = controller("layered");
  int tight = 0;
  for (int i = 0; i < 300; ++i) {
    VirtualPlay play = random_play(random);
    const double optimum_s = optimum_ttft_s(play);
    if (optimum_s > 20) continue;
    play.deadline_s = optimum_s / 0.9 + 0.022;  // and the margin of the freeze
    const VirtualOutcome outcome = run_virtual(*layered, play);
    expect_sound(play, outcome);
    EXPECT_LE(outcome.ttft_s, play.deadline_s) << "play " << i << ", optimum " << optimum_s;
    ++tight;
  }
  EXPECT_GT(tight, 200);
}

TEST(LayeredProperty, LateItStillHandsEverythingOver) {
  std::mt19937 random(21);
  const auto layered = controller("layered");
  for (int i = 0; i < 60; ++i) {
    VirtualPlay play = random_play(random);
    const double optimum_s = optimum_ttft_s(play);
    if (optimum_s > 20) continue;
    play.deadline_s = optimum_s / 2;
    const VirtualOutcome outcome = run_virtual(*layered, play);
    expect_sound(play, outcome);
    EXPECT_LE(outcome.ttft_s, 1.25 * optimum_s + 0.03) << "play " << i;
  }
}

TEST(LayeredProperty, FillsHolesFromText) {
  std::mt19937 random(22);
  const auto layered = controller("layered");
  for (int i = 0; i < 60; ++i) {
    VirtualPlay play = random_play(random);
    play.rate_bytes_per_s = [](double) { return 10e6; };
    play.deadline_s = 0.3;
    play.lost = [&](uint32_t c, uint32_t plane) { return (c * 7 + plane * 3) % 5 == 0; };
    expect_sound(play, run_virtual(*layered, play));
  }
}

TEST(LayeredProperty, MoreTimeIsNotWorse) {
  std::mt19937 random(23);
  const auto layered = controller("layered");
  for (int i = 0; i < 40; ++i) {
    VirtualPlay play = random_play(random);
    const double optimum_s = optimum_ttft_s(play);
    if (optimum_s > 5) continue;
    play.deadline_s = 1.2 * optimum_s + 0.02;
    const double some = run_virtual(*layered, play).quality;
    play.deadline_s = 3 * optimum_s + 0.02;
    EXPECT_GE(run_virtual(*layered, play).quality, some - 0.02) << "play " << i;
  }
}

TEST(FixedProperty, EndsAtItsLevelHoweverLate) {
  std::mt19937 random(24);
  for (int i = 0; i < 20; ++i) {
    VirtualPlay play = random_play(random);
    play.deadline_s = 0.05;
    play.rate_bytes_per_s = [](double) { return 5e6; };
    const VirtualOutcome outcome = run_virtual(*controller("fixed:2"), play);
    expect_sound(play, outcome);
    for (const ChunkState& chunk : outcome.chunks) {
      EXPECT_EQ(chunk.decoded_level, std::min(2, chunk.max_level));
    }
    EXPECT_EQ(outcome.gpu_s, 0);
  }
}

// Not a promise about this machine: the bound is far above what a decision takes.
TEST(Layered, DecidesQuicklyAt64Chunks) {
  Observation seen = view_of(64);
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  const auto layered = controller("layered");
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kDecisions = 200;
  for (int i = 0; i < kDecisions; ++i) {
    ASSERT_EQ(layered->decide(seen).start.size(), 4u);
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("decision_us", std::to_string(1000 * took.count() / kDecisions));
}

}  // namespace
}  // namespace kvcast::player
