// The rules of others, on hand-made views.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "player/testing/observations.h"

namespace kvcast::player {
namespace {

using testing::chunks_of;
using testing::controller;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::view_of;

std::vector<uint32_t> planes_of(const Choice& choice) {
  std::vector<uint32_t> planes;
  for (const Fetch& fetch : choice.start) planes.push_back(fetch.plane);
  return planes;
}

// Levels of view_of's chunks: 50, 70, 92.5 and 117.5 kB.
Observation measured(size_t chunks, double bytes_per_s) {
  Observation seen = view_of(chunks);
  seen.recompute_available = false;
  seen.rate_bytes_per_s = bytes_per_s;
  seen.history.assign(6, {bytes_per_s * 0.05, 0.05});
  return seen;
}

TEST(CacheGenPaper, BeginsAtTheMiddleOfTheLadder) {
  Observation seen = view_of(8);
  seen.recompute_available = false;
  seen.rate_bytes_per_s = 0;
  const Choice choice = controller("cachegen-paper")->decide(seen);
  EXPECT_THAT(chunks_of(choice.start), ElementsAre(0, 0, 0));
  EXPECT_THAT(planes_of(choice), ElementsAre(0, 1, 2));
}

TEST(CacheGenPaper, TakesTheBestLevelAtWhichAllThatRemainsMeetsTheSlo) {
  // 0.9 s for 4 chunks: 370 kB at level 2, 470 at level 3.
  EXPECT_THAT(planes_of(controller("cachegen-paper")->decide(measured(4, 480'000 / 0.9))),
              ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(planes_of(controller("cachegen-paper")->decide(measured(4, 380'000 / 0.9))),
              ElementsAre(0, 1, 2));
  EXPECT_THAT(planes_of(controller("cachegen-paper")->decide(measured(4, 100'000))), ElementsAre(0))
      << "nothing meets it";
  // Only the last chunk's rate counts.
  Observation seen = measured(4, 480'000 / 0.9);
  seen.history.back().bytes /= 4;
  EXPECT_THAT(planes_of(controller("cachegen-paper")->decide(seen)), ElementsAre(0));
}

TEST(CacheGenPaper, PrefersTextWhereTextForAllThatRemainsMeetsTheSlo) {
  Observation seen = view_of(8);  // 0.8 s of 0.9
  EXPECT_EQ(controller("cachegen-paper")->decide(seen).recompute, 0);
  EXPECT_THAT(controller("cachegen-paper")->decide(seen).start, IsEmpty());
  seen.now_s = 0.2;
  EXPECT_FALSE(controller("cachegen-paper")->decide(seen).recompute);
}

TEST(CacheGenPaper, DecidesOneChunkAfterTheOther) {
  Observation seen = measured(4, 1e6);
  seen.chunks[0].fetching = 1;
  seen.in_flight_bytes = 20'000;
  seen.ttfb_s = 0.01;
  EXPECT_THAT(controller("cachegen-paper")->decide(seen).start, IsEmpty());
  seen.in_flight_bytes = 10'000;  // comes while the next request is under way
  EXPECT_EQ(controller("cachegen-paper")->decide(seen).start.at(0).chunk, 1u);
}

TEST(CacheGenArtifact, GivesEveryChunkAnEqualShareOfTheSlo) {
  // 10 chunks in 1 s: 0.1 s each, whatever is left over.
  Observation seen = measured(10, 1e6);
  EXPECT_THAT(planes_of(controller("cachegen-artifact")->decide(seen)), ElementsAre(0, 1, 2));
  seen.now_s = 0.85;
  EXPECT_THAT(planes_of(controller("cachegen-artifact")->decide(seen)), ElementsAre(0, 1, 2));
  seen.rate_bytes_per_s = 400'000;
  EXPECT_THAT(planes_of(controller("cachegen-artifact")->decide(seen)), ElementsAre(0));
  seen.recompute_available = true;
  const Choice text = controller("cachegen-artifact")->decide(seen);
  EXPECT_EQ(text.recompute, 0) << "in time or not";
  EXPECT_THAT(text.recompute_reason, HasSubstr("share"));
}

TEST(Throughput, TakesNineTenthsOfTheSlowerAverage) {
  // Level 3 of 4 chunks in 0.9 s needs 522 kB/s.
  EXPECT_THAT(planes_of(controller("throughput")->decide(measured(4, 590'000))),
              ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(planes_of(controller("throughput")->decide(measured(4, 570'000))),
              ElementsAre(0, 1, 2));
  Observation falling = measured(4, 1'100'000);
  falling.history.back().bytes /= 10;
  falling.history.back().seconds *= 4;
  EXPECT_LT(controller("throughput")->decide(falling).start.size(), 4u);
}

TEST(Throughput, AbandonsUpperPlanesWhenTheRestWouldBeLate) {
  Observation seen = measured(4, 200'000);
  seen.chunks[0].fetching = 0b1110;
  seen.chunks[0].held = 1;
  seen.in_flight_bytes = 60'000;  // and 150 kB of bases: 210 kB; 0.9 s bring 162
  const Choice choice = controller("throughput")->decide(seen);
  ASSERT_EQ(choice.cancel.size(), 3u);
  EXPECT_EQ(choice.cancel[0].plane, 1u);
  seen = measured(4, 400'000);
  seen.chunks[0].fetching = 0b1110;
  seen.in_flight_bytes = 60'000;
  EXPECT_THAT(controller("throughput")->decide(seen).cancel, IsEmpty());
}

TEST(RobustMpc, DistrustsARateThatItGuessedWrongBefore) {
  EXPECT_EQ(controller("robust-mpc")->decide(measured(4, 700'000)).start.size(), 4u);
  Observation seen = measured(4, 700'000);
  for (size_t i = 0; i < seen.history.size(); i += 2) seen.history[i].bytes *= 0.4;
  EXPECT_LT(controller("robust-mpc")->decide(seen).start.size(), 3u);
}

TEST(Chance, RecomputesFromTheFrontAndLoadsFromTheBack) {
  Observation seen = measured(12, 2e6);
  seen.recompute_available = true;
  const Choice choice = controller("chance")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  ASSERT_FALSE(choice.start.empty());
  EXPECT_EQ(choice.start[0].chunk, 11u);
  for (ChunkState& chunk : seen.chunks) chunk.recompute_s = 0.01;  // the engine reaches all
  EXPECT_THAT(controller("chance")->decide(seen).start, IsEmpty());
}

TEST(Chance, IsMoreCarefulWhereRatesDiffered) {
  const size_t steady = controller("chance")->decide(measured(6, 1'500'000)).start.size();
  Observation seen = measured(6, 1'500'000);
  for (size_t i = 0; i < seen.history.size(); i += 2) seen.history[i].bytes /= 9;
  EXPECT_LT(controller("chance")->decide(seen).start.size(), steady);
}

TEST(Refetch, LoadsBasesFirstAndThenWholeChunksAgain) {
  Observation seen = measured(4, 1e6);
  const Choice first = controller("refetch")->decide(seen);
  EXPECT_THAT(chunks_of(first.start), ElementsAre(3, 2, 1, 0));
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  const Choice again = controller("refetch")->decide(seen);
  ASSERT_GE(again.start.size(), 2u);
  EXPECT_EQ(again.start[0].plane, 0u) << "the base once more";
  EXPECT_EQ(again.start[0].chunk, again.start[1].chunk);
  seen.now_s = 0.88;
  EXPECT_THAT(controller("refetch")->decide(seen).start, IsEmpty()) << "too late for any";
  EXPECT_TRUE(controller("refetch")->decide(seen).freeze);
}

TEST(WholeChunks, FreezeOnceEverythingIsInHandAndNothingUnderWay) {
  for (const char* name :
       {"cachegen-paper", "cachegen-artifact", "throughput", "robust-mpc", "chance"}) {
    Observation seen = measured(3, 1e6);
    for (ChunkState& chunk : seen.chunks) chunk.held = 1;
    EXPECT_TRUE(controller(name)->decide(seen).freeze) << name;
    seen.chunks[1].fetching = 0b10;
    EXPECT_FALSE(controller(name)->decide(seen).freeze) << name;
    seen.chunks[1].fetching = 0;
    seen.chunks[1].held = 0;
    seen.chunks[1].max_level = -1;
    seen.chunks[0].decoded_level = 0;
    seen.recompute_available = true;
    if (std::string_view(name) == "chance") continue;  // its engine begins at the front
    EXPECT_EQ(controller(name)->decide(seen).recompute, 1) << name;
  }
}

}  // namespace
}  // namespace kvcast::player
