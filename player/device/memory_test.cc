// The ring and the arena of a device sink.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/emulated_device.h"
#include "player/device/arena.h"
#include "player/device/pinned_ring.h"

namespace kvcast::player {
namespace {

using kernels::EmulatedDevice;

TEST(Arena, JoinsWhatIsGivenBack) {
  Arena arena(1024 + 255);
  EXPECT_EQ(arena.bytes(), 1024u);
  EXPECT_EQ(arena.take(1), 0u);
  EXPECT_EQ(arena.take(512), 256u);
  EXPECT_EQ(arena.take(256), 768u);
  EXPECT_FALSE(arena.take(1));
  arena.give_back(0);
  arena.give_back(768);
  EXPECT_FALSE(arena.take(512));
  arena.give_back(256);
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_EQ(arena.take(1024), 0u);
  EXPECT_FALSE(Arena(0).take(1));
  EXPECT_FALSE(arena.take(~size_t{0}));
}

TEST(Arena, PlacesNeverOverlap) {
  std::mt19937 random(1);
  Arena arena(64 << 10);
  std::map<size_t, size_t> held;
  for (int i = 0; i < 20000; ++i) {
    if (held.empty() || random() % 2 == 0) {
      const size_t bytes = random() % 4000;
      const auto at = arena.take(bytes);
      if (!at) continue;
      const auto after = held.upper_bound(*at);
      if (after != held.end()) {
        ASSERT_LE(*at + bytes, after->first);
      }
      if (after != held.begin()) {
        ASSERT_LE(std::prev(after)->first + std::prev(after)->second, *at);
      }
      ASSERT_LE(*at + bytes, arena.bytes());
      held[*at] = std::max<size_t>(bytes, 1);
    } else {
      const auto gone = std::next(held.begin(), static_cast<long>(random() % held.size()));
      arena.give_back(gone->first);
      held.erase(gone);
    }
  }
  for (const auto& [at, bytes] : held) arena.give_back(at);
  EXPECT_EQ(arena.used(), 0u);
  EXPECT_TRUE(arena.take(arena.bytes()));
}

TEST(PinnedRing, WaitsForCopiesAndKeepsTheirBytes) {
  EmulatedDevice device({.deferred = true});
  const auto stream = std::move(*device.create_stream());
  const auto there_dev = std::move(*device.allocate(1000));
  auto ring = std::move(*PinnedRing::create(device, 40, 10));
  EXPECT_EQ(device.pinned_used(), 40u);
  int sent = 0, full = 0;
  while (sent < 100) {
    std::byte* piece = *ring.next();
    if (piece == nullptr) {
      ++full;
      device.step();
      continue;
    }
    std::memset(piece, sent, 10);
    ASSERT_TRUE(ring.send(static_cast<std::byte*>(there_dev.get()) + 10 * sent, 10,
                          kernels::DeviceRuntime::stream(stream)));
    ++sent;
  }
  device.run_all();
  EXPECT_GT(full, 0);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(static_cast<unsigned char*>(there_dev.get())[i], i / 10) << i;
  }
}

TEST(PinnedRing, SaysWhatFailed) {
  for (uint64_t n = 1; n < 12; ++n) {
    EmulatedDevice device;
    {
      const auto stream = std::move(*device.create_stream());
      const auto there_dev = std::move(*device.allocate(10));
      device.fail_call(n);
      auto ring = PinnedRing::create(device, 30, 10);
      if (n <= 4) {  // the memory and three events
        ASSERT_FALSE(ring);
        EXPECT_NE(ring.fault().what.find("made to fail"), std::string::npos);
        continue;
      }
      const auto piece = ring->next();
      EXPECT_EQ(piece.ok(), n != 5);
      if (piece) {
        EXPECT_EQ(ring->send(there_dev.get(), 10, kernels::DeviceRuntime::stream(stream)).ok(),
                  n > 7);
      }
    }
    EXPECT_EQ(device.owned(), 0u);
  }
}

}  // namespace
}  // namespace kvcast::player
