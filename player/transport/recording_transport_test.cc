#include "player/recording_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

namespace kvcast::player {
namespace {

constexpr int64_t kMs = 1'000'000;

// Hands out what it is given, at the times it is given.
class Told final : public Transport {
 public:
  TransferId start(TransferRequest) override { return ++last; }
  void cancel(TransferId) override {}
  std::vector<TransferEvent> poll(std::chrono::nanoseconds) override {
    return std::exchange(events, {});
  }
  void wake() override {}
  int64_t now_ns() const override { return now; }

  void say(TransferId id, TransferEvent::Kind kind, int64_t ms, uint64_t bytes = 0) {
    TransferEvent event;
    event.id = id;
    event.kind = kind;
    event.time_ns = ms * kMs;
    event.new_bytes = bytes;
    events.push_back(event);
  }
  TransferId last = 0;
  int64_t now = 0;
  std::vector<TransferEvent> events;
};

using Kind = TransferEvent::Kind;

TEST(RecordingTransport, RatesAreBytesOverReceivingTime) {
  Told told;
  RecordingTransport recording(told);
  const TransferId id = recording.start({});
  told.say(id, Kind::kHeaders, 40);
  for (int64_t ms = 45; ms <= 100; ms += 5) told.say(id, Kind::kData, ms, 5000);  // 1 MB/s
  told.say(id, Kind::kData, 160, 1000);  // after 60 ms of silence
  told.say(id, Kind::kDone, 160);
  recording.poll({});
  const std::vector<LinkRate> link = recording.link(0);
  ASSERT_GE(link.size(), 6u);
  EXPECT_EQ(link.front().begin_s, 0) << "nothing is known of the time before";
  double sent = 0;
  for (size_t i = 0; i < link.size(); ++i) {
    const double begin_s = i == 0 ? 0.04 : link[i].begin_s;
    const double end_s = i + 1 < link.size() ? link[i + 1].begin_s : 0.16;
    sent += link[i].bytes_per_s * std::max(0.0, end_s - begin_s);
    if (begin_s >= 0.12 && end_s <= 0.14) {
      EXPECT_EQ(link[i].bytes_per_s, 0);
    }
  }
  EXPECT_NEAR(sent, 61'000, 2'000);
}

TEST(RecordingTransport, AnIdleOrPausedLinkKeepsItsRate) {
  Told told;
  RecordingTransport recording(told);
  const TransferId first = recording.start({});
  told.say(first, Kind::kHeaders, 0);
  for (int64_t ms = 1; ms <= 40; ++ms) told.say(first, Kind::kData, ms, 1000);
  told.say(first, Kind::kDone, 40);
  recording.poll({});
  const TransferId second = recording.start({});
  told.say(second, Kind::kHeaders, 200);
  for (int64_t ms = 201; ms <= 240; ++ms) told.say(second, Kind::kData, ms, 3000);
  recording.poll({});
  told.now = 240 * kMs;
  recording.pause(true);
  told.now = 400 * kMs;
  recording.cancel(second);
  const std::vector<LinkRate> link = recording.link(0);
  for (const LinkRate& step : link) {
    EXPECT_FALSE(step.begin_s > 0.05 && step.begin_s < 0.19) << step.begin_s;
    EXPECT_LT(step.begin_s, 0.25);
    EXPECT_GT(step.bytes_per_s, 5e5);
  }
  EXPECT_NEAR(link.front().bytes_per_s, 1e6, 1e5);
  EXPECT_NEAR(link.back().bytes_per_s, 3e6, 3e5);
}

TEST(RecordingTransport, CompressedBodiesAreNotCounted) {
  Told told;
  RecordingTransport recording(told);
  TransferRequest compressed;
  compressed.accept_compressed = true;
  const TransferId id = recording.start(compressed);
  told.say(id, Kind::kHeaders, 10);
  told.say(id, Kind::kData, 20, 100'000);
  told.say(id, Kind::kDone, 20);
  EXPECT_EQ(recording.poll({}).size(), 3u);
  EXPECT_TRUE(recording.link(0).empty());
}

}  // namespace
}  // namespace kvcast::player
