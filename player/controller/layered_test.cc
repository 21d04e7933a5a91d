#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "player/testing/observations.h"

namespace kvcast::player {
namespace {

using testing::chunks_of;
using testing::controller;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::view_of;

TEST(Layered, StartsAtBothEnds) {
  Observation seen = view_of(16);
  seen.rate_bytes_per_s = 0;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  EXPECT_THAT(choice.recompute_reason, HasSubstr("100.0 ms"));
  EXPECT_THAT(chunks_of(choice.start), ElementsAre(15, 14, 13, 12));
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
  seen.rate_bytes_per_s = 10e6;
  // 0.9 s at 0.1 s a chunk and a tenth of slack: the engine reaches chunks 0 to 7. Those after 5
  // it would miss were it half as slow again; the link brings them in half of the time left.
  std::vector<uint32_t> bases;
  const Choice at_ease = controller("layered")->decide(seen);
  for (const Fetch& fetch : at_ease.start) {
    if (fetch.urgent) bases.push_back(fetch.chunk);
  }
  EXPECT_THAT(bases, ElementsAre(15, 14, 13, 12, 11, 10, 9, 8));
  // Half of 0.9 s brings 90 kB: only one of the doubtful ones may wait.
  seen.rate_bytes_per_s = 200'000;
  for (uint32_t c = 8; c < 16; ++c) seen.chunks[c].held = 1;
  EXPECT_THAT(chunks_of(controller("layered")->decide(seen).start), ElementsAre(7));
  // An engine that was late before is trusted with less.
  seen.rate_bytes_per_s = 10e6;
  seen.engine_slack = 1.7;
  const Choice doubtful = controller("layered")->decide(seen);
  ASSERT_FALSE(doubtful.start.empty());
  EXPECT_EQ(doubtful.start[0].chunk, 7u);
  EXPECT_TRUE(doubtful.start[0].urgent);
  seen.recompute_available = false;
  const Choice alone = controller("layered")->decide(seen);
  EXPECT_EQ(std::count_if(alone.start.begin(), alone.start.end(),
                          [](const Fetch& fetch) { return fetch.urgent; }),
            8);
}

TEST(Layered, FinishingEarlyNoBaseWaits) {
  Observation seen = view_of(4);
  seen.finish_early = true;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  ASSERT_FALSE(choice.start.empty());
  EXPECT_EQ(choice.start[0].chunk, 3u);
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  EXPECT_TRUE(controller("layered")->decide(seen).freeze);
}

TEST(Layered, WithoutTextRecomputesOnlyWhatTheNetworkCannotBring) {
  Observation seen = view_of(4);
  EXPECT_FALSE(controller("layered-no-text")->decide(seen).recompute);
  EXPECT_THAT(chunks_of(controller("layered-no-text")->decide(seen).start),
              ElementsAre(3, 2, 1, 0));
  seen.chunks[0].held = 1;
  seen.chunks[0].decoded_level = 0;
  seen.chunks[1].max_level = -1;
  EXPECT_EQ(controller("layered-no-text")->decide(seen).recompute, 1);
}

TEST(Layered, FetchesTheFloorOfEveryChunk) {
  Observation seen = view_of(3);
  seen.rate_bytes_per_s = 0;
  seen.recompute_available = false;
  for (ChunkState& chunk : seen.chunks) chunk.min_level = 1;
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.start.size(), 4u);
  EXPECT_THAT(chunks_of(choice.start), ElementsAre(2, 2, 1, 1));
  EXPECT_EQ(choice.start[1].plane, 1u);
}

TEST(Layered, RacesForTheLastBaseWhenTheEngineMayBeLate) {
  Observation seen = view_of(2);
  seen.chunks[1].held = 1;
  seen.recomputing = 0;
  seen.recompute_elapsed_s = 0.08;
  for (const Fetch& fetch : controller("layered")->decide(seen).start) EXPECT_NE(fetch.chunk, 0u);
  seen.recompute_elapsed_s = 0;
  seen.freeze_s = 0.1;  // no slack
  const Choice both = controller("layered")->decide(seen);
  EXPECT_EQ(both.recompute, 0);
  ASSERT_FALSE(both.start.empty());
  EXPECT_EQ(both.start[0].chunk, 0u);
}

TEST(Layered, DropsABaseThatRecomputationOvertakes) {
  Observation seen = view_of(2);
  seen.chunks[0].fetching = seen.chunks[1].fetching = 1;
  seen.in_flight_bytes = 400'000;  // 0.4 s; the engine takes 0.1 s
  const Choice choice = controller("layered")->decide(seen);
  ASSERT_EQ(choice.cancel.size(), 2u);
  EXPECT_THAT(choice.cancel[0].reason, HasSubstr("recomputation is sooner"));
  seen.in_flight_bytes = 100'000;
  EXPECT_THAT(controller("layered")->decide(seen).cancel, IsEmpty());
}

TEST(Layered, UpgradesWhatRecomputationWillNotReach) {
  Observation seen = view_of(12);
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  const Choice choice = controller("layered")->decide(seen);
  EXPECT_EQ(choice.recompute, 0);
  ASSERT_EQ(choice.start.size(), 2u);  // enough to fill the link
  for (const Fetch& fetch : choice.start) {
    EXPECT_GE(fetch.chunk, 8u);  // 0.9 s at 0.1 s a chunk, less a tenth
    EXPECT_EQ(fetch.plane, 1u);
    EXPECT_FALSE(fetch.urgent);
    EXPECT_THAT(fetch.reason, HasSubstr("quality 0.93"));
  }
}

TEST(Layered, StartsAsManyUpgradesAsBridgeTheWaitForFirstBytes) {
  Observation seen = view_of(12);
  for (ChunkState& chunk : seen.chunks) chunk.held = 1;
  seen.ttfb_s = 0.025;  // two of them are 50 kB; an upgrade is 20 kB
  EXPECT_EQ(controller("layered")->decide(seen).start.size(), 3u);
  seen.in_flight_bytes = 40'000;
  EXPECT_EQ(controller("layered")->decide(seen).start.size(), 2u);
  seen.chunks[9].fetching = seen.chunks[10].fetching = 0b10;
  EXPECT_EQ(controller("layered")->decide(seen).start.size(), 1u);
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
  EXPECT_THAT(chunks_of(choice.start), ElementsAre(2));
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
  EXPECT_THAT(chunks_of(late.start), ElementsAre(1));
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

}  // namespace
}  // namespace kvcast::player
