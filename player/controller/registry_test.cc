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

TEST(Registry, KnowsItsNamesAndListsThemForOthers) {
  for (const std::string_view name : controller_names()) EXPECT_TRUE(make_controller(name)) << name;
  EXPECT_EQ(controller_names().front(), "layered");
  EXPECT_TRUE(make_controller("fixed:7"));
  for (const char* name : {"", "layer", "fixed", "fixed:", "fixed:8", "fixed:1x", "fixed:-1"}) {
    const auto made = make_controller(name);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().kind, manifests::ErrorKind::kUsage);
    for (const std::string_view known : controller_names()) {
      EXPECT_THAT(made.error().message, HasSubstr(std::string(known)));
    }
    EXPECT_THAT(made.error().message, HasSubstr("fixed:0 to fixed:7"));
  }
}

// Not a promise about this machine: kvcast bench play prints how long decisions take.
TEST(Registry, EveryControllerAnswersAnyView) {
  for (const std::string_view name : controller_names()) {
    for (const size_t chunks : {1u, 2u, 64u}) {
      Observation seen = view_of(chunks);
      for (const double rate : {0.0, 1.0, 1e12}) {
        seen.rate_bytes_per_s = rate;
        seen.history.assign(3, {rate * 0.1, 0.1});
        for (const double now_s : {0.0, 0.95, 5.0}) {
          seen.now_s = now_s;
          const Choice choice = controller(name)->decide(seen);
          for (const Fetch& fetch : choice.start) {
            ASSERT_LT(fetch.chunk, chunks) << name;
            ASSERT_LE(fetch.plane, 3u) << name;
          }
          EXPECT_FALSE(choice.freeze) << name << ": nothing is here";
          EXPECT_FALSE(choice.start.empty() && !choice.recompute) << name << " at " << now_s;
        }
      }
    }
  }
}

TEST(ChunkState, LevelsAreRunsOfPlanes) {
  ChunkState chunk = testing::chunk_of(1000, 1);
  EXPECT_EQ(chunk.held_level(), -1);
  chunk.held = 0b1011;
  chunk.fetching = 0b0100;
  EXPECT_EQ(chunk.held_level(), 1);
  EXPECT_EQ(chunk.coming_level(), 3);
}

TEST(Fixed, FetchesItsLevelFromTheFrontAndNothingElse) {
  const Choice choice = controller("fixed:1")->decide(view_of(4));
  EXPECT_THAT(chunks_of(choice.start), ElementsAre(0, 0, 1, 1));
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

}  // namespace
}  // namespace kvcast::player
