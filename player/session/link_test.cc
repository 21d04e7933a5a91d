#include "player/session/link.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "player/transport/memory_transport.h"

namespace kvcast::player {
namespace {

constexpr char kManifest[] = "http://a.test/t/public/m/book.json";
constexpr char kHost[] = "http://a.test:80";
using Response = MemoryTransport::Response;

// A link to one server, and the events it tells of.
class LinkTest : public testing::Test {
 protected:
  void build(MemoryTransport::Handler handler) {
    transport_.emplace(std::move(handler));
    downloader_.emplace(*transport_, params_);
    ASSERT_TRUE(downloader_->set_bases(kManifest, {}).ok());
    journal_.emplace(*transport_, std::nullopt, on_event_);
    link_.emplace(*downloader_, *journal_, 0, &history_, 1000);
  }

  void start(uint32_t chunk, const std::vector<std::byte>& object) {
    DownloadRequest request;
    request.name = "chunk";
    request.object.emplace();
    request.object->digest = manifests::sha256(object);
    request.object->bytes = object.size();
    link_->start({Want::Kind::kPlane, chunk, 0}, std::move(request));
  }

  size_t finish() {
    size_t ended = 0;
    while (link_->running() > 0) ended += link_->poll(std::chrono::seconds(1)).size();
    return ended;
  }

  std::vector<const PlayEvent*> all(const std::string& what) const {
    std::vector<const PlayEvent*> found;
    for (const PlayEvent& event : events_) {
      if (event.what == what) found.push_back(&event);
    }
    return found;
  }

  static double number(const PlayEvent& event, const std::string& name) {
    for (const auto& [key, value] : event.numbers) {
      if (key == name) return value;
    }
    return -1;
  }

  std::vector<std::byte> object_ = std::vector<std::byte>(200'000, std::byte{7});
  DownloaderParams params_;
  PlayHistory history_;
  std::vector<PlayEvent> events_;
  EventHandler on_event_ = [this](const PlayEvent& event) { events_.push_back(event); };
  std::optional<MemoryTransport> transport_;
  std::optional<Downloader> downloader_;
  std::optional<Journal> journal_;
  std::optional<Link> link_;  // last: uses the others to its end
};

TEST_F(LinkTest, LearnsRatesAndLeavesThemInTheHistory) {
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  start(0, object_);
  EXPECT_EQ(finish(), 1u);
  EXPECT_NEAR(link_->rate_bytes_per_s(), 4.096e6, 0.2e6);  // 4096 bytes a millisecond
  EXPECT_NEAR(link_->ttfb_s(), 0.001, 1e-6);
  EXPECT_EQ(link_->chunk_bytes(0), object_.size());
  EXPECT_GT(link_->forecast().seconds_for(object_.size(), 0.5), 0.03);
  link_.reset();
  const auto record = history_.find(kHost, 1000);
  ASSERT_TRUE(record.has_value());
  EXPECT_NEAR(record->rate_bytes_per_s.median, 4.096e6, 0.2e6);
}

TEST_F(LinkTest, StartsFromWhatEarlierPlaysLearned) {
  history_.learn(kHost, {{9e6, 0.2}, {0.02, 0.2}, 0.01}, 1000);
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  start(0, object_);
  link_->poll(std::chrono::nanoseconds(0));
  EXPECT_NEAR(link_->rate_bytes_per_s(), 9e6, 1);
  EXPECT_NEAR(link_->ttfb_s(), 0.02, 1e-6);
  ASSERT_EQ(all("prior").size(), 1u);
  EXPECT_NEAR(number(*all("prior")[0], "rtt_ms"), 10, 1e-9);
  finish();
}

TEST_F(LinkTest, AnswersFromCachesAreToldAndLeftOutOfTheHistory) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.headers.cache_status = "edge; hit";
    return response;
  });
  start(0, object_);
  finish();
  ASSERT_EQ(all("response").size(), 1u);
  EXPECT_EQ(number(*all("response")[0], "cached"), 1);
  link_.reset();
  EXPECT_FALSE(history_.find(kHost, 1000).has_value()) << "nothing is known of the origin";
}

TEST_F(LinkTest, AsksForMoreWhileTheLinkWouldRunDry) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.first_byte = std::chrono::milliseconds(200);
    return response;
  });
  EXPECT_EQ(link_->free_transfers(2, 8), 2u);
  start(0, object_);
  finish();  // 4 MB/s x 200 ms are 800 kB: four objects under way
  for (uint32_t chunk = 1; chunk <= 8; ++chunk) {
    const uint32_t free = link_->free_transfers(2, 8);
    EXPECT_EQ(free, chunk <= 2 ? 3 - chunk : chunk <= 5 ? 1u : 0u) << chunk;
    if (free > 0) start(chunk, object_);
  }
  EXPECT_EQ(link_->free_transfers(2, 2), 0u);
  link_->cancel_all();
  EXPECT_EQ(link_->free_transfers(2, 8), 2u);
}

TEST_F(LinkTest, OnlyAMeasuredRateOpensMoreConnections) {
  history_.learn(kHost, {{9e9, 0.2}, {0.2, 0.2}, 0.01}, 1000);
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  start(0, object_);
  start(1, object_);
  link_->poll(std::chrono::nanoseconds(0));
  ASSERT_GT(link_->rate_bytes_per_s() * link_->ttfb_s(), 2.0 * 200'000);
  EXPECT_EQ(link_->free_transfers(2, 8), 0u);
}

TEST_F(LinkTest, HedgesAreCountedAndTold) {
  int calls = 0;
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    if (++calls == 4) response.first_byte = std::chrono::seconds(3);
    return response;
  });
  for (uint32_t chunk = 0; chunk < 4; ++chunk) {
    start(chunk, object_);
    finish();
  }
  EXPECT_EQ(link_->hedges(), 1u);
  EXPECT_EQ(link_->requests(), 5u);
  ASSERT_EQ(all("hedge").size(), 1u);
  EXPECT_GE(number(*all("hedge")[0], "waited_ms"), 20);
  EXPECT_EQ(all("hedge_end").size(), 1u);
  EXPECT_EQ(link_->in_flight_bytes(), 0u);
}

TEST_F(LinkTest, ReadingPausesOnlyWhileDecodingCanCatchUp) {
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  link_->set_backlog(2000, false, 1000);
  EXPECT_EQ(all("pause").size(), 0u) << "nobody would ever resume it";
  link_->set_backlog(2000, true, 1000);
  link_->set_backlog(900, true, 1000);
  EXPECT_EQ(all("pause").size(), 1u);
  EXPECT_EQ(all("resume").size(), 0u) << "not at once: at half of the limit";
  link_->set_backlog(400, true, 1000);
  EXPECT_EQ(all("resume").size(), 1u);
  link_->set_backlog(2000, true, 1000);
  link_->set_backlog(2000, false, 1000);
  EXPECT_EQ(all("resume").size(), 2u);
}

}  // namespace
}  // namespace kvcast::player
