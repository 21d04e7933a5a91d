// Plays on networks and servers that misbehave at random, in virtual time: how fast the machine is
// decides nothing. Whatever happens, a play ends in time, with the right bytes or an honest error,
// and gives back what it held. KVCAST_CHAOS_SEED=N plays one schedule and prints its events.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "player/chaos/course.h"
#include "player/chaos/resources.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;

constexpr uint64_t kSchedules = 500;
constexpr double kPatience_s = 0.25;
constexpr double kSlack_s = 0.012;  // a tick of the play and a step of the network

// A play that cannot meet its deadline finishes by the fastest route: beyond the deadline it may go
// on for as long as bytes come or the engine recomputes, which is no hang. It never waits longer
// than the patience for anything that does not move.
void expect_no_hang(const Schedule& schedule, const Played& played) {
  const double moved_s =
      std::max({schedule.slo_ms * 1e-3, played.last_byte_s, played.last_engine_s});
  EXPECT_LE(played.end_s, moved_s + kPatience_s + kSlack_s);
}

void expect_right_bytes(const Schedule& schedule, const Played& played) {
  const Sample& of = chaos_sample(schedule.text, schedule.bases);
  const PlayReport& report = *played.report;
  EXPECT_EQ(played.layers, of.manifest.model.layers);
  ASSERT_EQ(report.chunks.size(), of.manifest.chunks.size());
  for (uint32_t c = 0; c < report.chunks.size(); ++c) {
    if (report.chunks[c].recomputed) {
      EXPECT_TRUE(played.rows[c] == true_rows(of, c)) << "chunk " << c << ", recomputed";
    } else {
      ASSERT_GE(*report.chunks[c].level, schedule.min_level);
      EXPECT_TRUE(played.rows[c] == clean_rows()[*report.chunks[c].level][c])
          << "chunk " << c << " at level " << *report.chunks[c].level;
    }
  }
}

// Text is enough: whoever has an engine, the tokens and the shape of the cache needs no network.
bool text_is_enough(const Schedule& schedule, const Played& played) {
  return schedule.engine && schedule.text && !schedule.engine_fails_from && played.manifest_came &&
         schedule.manifest_spared && !schedule.sink_full;
}

// An honest error: nothing was handed over, something did go wrong, and text was not enough.
void expect_honest(const Schedule& schedule, const Played& played) {
  const Error& error = played.report.error();
  EXPECT_FALSE(error.message.empty());
  EXPECT_EQ(played.layers, 0u) << "nothing was handed over";
  EXPECT_TRUE(schedule.sink_full || played.faults > 0 || played.end_s > schedule.slo_ms * 1e-3)
      << error.message;
  if (schedule.sink_full && played.manifest_came) {
    const bool readable = schedule.manifest_spared;
    EXPECT_TRUE(!readable || error.message.find("sink is full") != std::string::npos)
        << error.message;
  } else if (schedule.fault_rate == 0 && !schedule.engine_fails_from) {
    // Nothing was refused or corrupt: the time is what ran out.
    EXPECT_EQ(error.kind, ErrorKind::kPromise) << error.message;
  }
}

template <typename Visit>
void for_all_schedules(Visit&& visit) {
  const char* only = std::getenv("KVCAST_CHAOS_SEED");
  const char* count = std::getenv("KVCAST_CHAOS_SCHEDULES");
  const uint64_t schedules = count != nullptr ? std::stoull(count) : kSchedules;
  for (uint64_t seed = 0; seed < schedules; ++seed) {
    if (only != nullptr && std::to_string(seed) != only) continue;
    const Schedule schedule = draw_schedule(seed);
    SCOPED_TRACE(schedule.describe());
    const Resources before = resources_now();
    visit(schedule);
    const Resources after = resources_when_back(before);
    EXPECT_LE(after.descriptors, before.descriptors) << "a descriptor leaks";
    EXPECT_LE(after.threads, before.threads) << "a thread is left";
  }
}

bool all_schedules_run() {
  return std::getenv("KVCAST_CHAOS_SEED") == nullptr;
}

TEST(Chaos, PlaysEndInTimeWithTheRightBytesOrAnHonestError) {
  uint32_t done = 0, met = 0, failed = 0, recomputed = 0, died = 0, late_bytes = 0, late_engine = 0;
  clean_rows();
  for_all_schedules([&](const Schedule& schedule) {
    const Played played = play_schedule(schedule);
    expect_no_hang(schedule, played);
    const double bound_s = schedule.slo_ms * 1e-3 + kPatience_s + kSlack_s;
    late_engine += played.end_s > bound_s && played.last_engine_s > played.last_byte_s;
    late_bytes += played.end_s > bound_s && played.last_engine_s <= played.last_byte_s;
    if (!played.report) {
      ++failed;
      expect_honest(schedule, played);
      EXPECT_FALSE(text_is_enough(schedule, played)) << played.report.error().message;
      return;
    }
    ++done;
    met += played.report->met;
    recomputed += played.report->recomputed_tokens > 0;
    died += schedule.dead_from_s && played.report->recomputed_tokens > 0;
    expect_right_bytes(schedule, played);
  });
  std::printf(
      "%u done (%u in time, %u with recomputed chunks, %u past a dead network), %u failed; more "
      "than 250 ms late: %u by recomputing, %u while bytes came\n",
      done, met, recomputed, died, failed, late_engine, late_bytes);
  if (!all_schedules_run()) return;
  EXPECT_GT(done, (done + failed) / 3);
  EXPECT_GT(failed, (done + failed) / 50) << "schedules have become harmless";
  EXPECT_GT(died, 10u);
}

// With a late limit nothing prolongs a play: neither bytes that still come nor the engine.
TEST(Chaos, ALateLimitHoldsWhateverIsUnderWay) {
  uint32_t done = 0, failed = 0, cut = 0;
  clean_rows();
  for_all_schedules([&](const Schedule& schedule) {
    PlayParams params = chaos_params(schedule);
    params.download.late_limit = std::chrono::milliseconds(250);
    const Played played = play_schedule(schedule, params);
    EXPECT_LE(played.end_s, schedule.slo_ms * 1e-3 + kPatience_s + kSlack_s);
    if (played.report) {
      ++done;
      expect_right_bytes(schedule, played);
      return;
    }
    ++failed;
    expect_honest(schedule, played);
    cut += played.end_s > schedule.slo_ms * 1e-3 + kPatience_s - kSlack_s;
  });
  std::printf("%u done, %u failed, %u of them at the limit\n", done, failed, cut);
  if (!all_schedules_run()) return;
  EXPECT_GT(done, failed);
  EXPECT_GT(cut, 0u);
}

TEST(Chaos, TheSameScheduleTakesTheSameCourse) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Schedule schedule = draw_schedule(seed);
    const Played a = play_schedule(schedule), b = play_schedule(schedule);
    EXPECT_EQ(a.report.ok(), b.report.ok()) << schedule.describe();
    EXPECT_EQ(a.layers, b.layers);
  }
}

TEST(Chaos, ADeadNetworkWithoutAnEngineEndsInABrokenPromise) {
  Schedule schedule;
  schedule.slo_ms = 600;
  schedule.rates = {{0, 20e3}};
  schedule.dead_from_s = 0.1;
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_FALSE(played.report.ok());
  EXPECT_EQ(played.report.error().kind, ErrorKind::kPromise) << played.report.error().message;
  EXPECT_GE(played.end_s, 0.6);
  EXPECT_LE(played.end_s, 0.6 + kPatience_s + kSlack_s);
}

TEST(Chaos, ADeadNetworkWithAnEngineIsMetByText) {
  Schedule schedule;
  schedule.slo_ms = 1500;
  schedule.rates = {{0, 60e3}};
  schedule.dead_from_s = 0.4;
  schedule.engine_s_per_chunk = 0.05;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  expect_right_bytes(schedule, played);
}

TEST(Chaos, AnOriginRestartedInTimeCostsNothingButTime) {
  Schedule schedule;
  schedule.slo_ms = 2000;
  schedule.rates = {{0, 200e3}};
  schedule.killed[0] = {{0.1, 0.7}};
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  EXPECT_GT(played.report->retries, 0u);
  expect_right_bytes(schedule, played);
}

TEST(Chaos, ABaseThatIsGoneIsReplacedByTheOther) {
  Schedule schedule;
  schedule.slo_ms = 1000;
  schedule.bases = 2;
  schedule.rates = {{0, 400e3}};
  schedule.vanished[0] = {{0.05, 100}};
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  expect_right_bytes(schedule, played);
}

}  // namespace
}  // namespace kvcast::player
