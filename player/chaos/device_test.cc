// Chaos schedules played into a device's memory, emulated: whatever happens to a play, the device's
// memory, streams and events are given back, and the next play finds the room as it was.
#include <gtest/gtest.h>

#include "kernels/emulated_device.h"
#include "player/chaos/course.h"
#include "player/chaos/resources.h"
#include "player/device/memory.h"
#include "player/engine_cache.h"

namespace kvcast::player {
namespace {

constexpr uint64_t kSchedules = 100;
constexpr DeviceRoomParams kSmallRoom{
    .max_sms = 2, .ring_bytes = 1 << 20, .compressed_bytes = 1 << 20, .scratch_bytes = 8 << 20};

TEST(ChaosOnADevice, PlaysGiveBackWhatTheyHeld) {
  kernels::EmulatedDevice device;
  auto room = DeviceRoom::create(device, kSmallRoom);
  ASSERT_TRUE(room) << room.error().message;
  uint32_t done = 0, failed = 0;
  size_t owned = 0;
  uint64_t memory_bytes = 0;
  const auto run = [&](const Schedule& schedule) {
    EngineCacheSink sink(**room, CacheShape::kPaged);
    const Played played = play_schedule_into(schedule, chaos_params(schedule), sink);
    ++(played.report ? done : failed);
  };
  Schedule calm;
  calm.slo_ms = 20'000;
  run(calm);  // leaves the profile there, for all plays of the model
  ASSERT_EQ(done, 1u);
  owned = device.owned();
  memory_bytes = device.memory_used();
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    const Schedule schedule = draw_schedule(seed);
    SCOPED_TRACE(schedule.describe());
    const Resources before = resources_now();
    run(schedule);
    EXPECT_EQ((*room)->memory().arena.used(), 0u) << "compressed objects keep their places";
    EXPECT_EQ(device.owned(), owned);
    EXPECT_EQ(device.memory_used(), memory_bytes);
    const Resources after = resources_when_back(before);
    EXPECT_LE(after.descriptors, before.descriptors);
    EXPECT_LE(after.threads, before.threads);
  }
  EXPECT_GT(done, kSchedules / 3);
  EXPECT_GT(failed, 0u);
  room->reset();
  EXPECT_EQ(device.owned(), 0u);
  EXPECT_EQ(device.memory_used() + device.pinned_used(), 0u);
}

}  // namespace
}  // namespace kvcast::player
