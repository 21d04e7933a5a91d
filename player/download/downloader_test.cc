#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "player/download.h"
#include "player/transport/memory_transport.h"

namespace kvcast::player {
namespace {

using manifests::BaseUrl;
using manifests::ErrorKind;
using manifests::ObjectRef;
using Kind = DownloadEvent::Kind;
using Response = MemoryTransport::Response;

constexpr char kManifest[] = "http://a.test/t/public/m/book.json";
constexpr std::chrono::nanoseconds kLong = std::chrono::hours(1);

std::vector<std::byte> random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

ObjectRef name_of(const std::vector<std::byte>& bytes) {
  ObjectRef ref;
  ref.digest = manifests::sha256(bytes);
  ref.bytes = bytes.size();
  return ref;
}

bool goes_to(const TransferRequest& request, const std::string& host) {
  return request.url.starts_with("http://" + host + "/");
}

bool has_header(const TransferRequest& request, const std::string& header) {
  for (const std::string& each : request.headers) {
    if (each == header) return true;
  }
  return false;
}

// A base that answers some requests never, or stops in mid-body.
Response hanging(Response response, size_t bytes) {
  response.body.resize(std::min(bytes, response.body.size()));
  response.hangs = true;
  return response;
}

// A downloader over a handler, with one or two bases: a.test, then b.test.
class DownloaderTest : public testing::Test {
 protected:
  void build(MemoryTransport::Handler handler, size_t bases = 1) {
    transport_.emplace(std::move(handler));
    downloader_.emplace(*transport_, params_);
    std::vector<BaseUrl> urls = {{"../", 1, 1}, {"http://b.test/t/public", 2, 1}};
    urls.resize(bases);
    ASSERT_TRUE(downloader_->set_bases(kManifest, urls).ok());
  }

  DownloadId start_object(const ObjectRef& ref, const std::string& name = "chunk 3 plane 0") {
    DownloadRequest request;
    request.name = name;
    request.object = ref;
    return downloader_->start(std::move(request));
  }

  // Until nothing is left to do; every event in order.
  std::vector<DownloadEvent> drain() {
    std::vector<DownloadEvent> all;
    for (int i = 0; i < 1'000'000 && downloader_->running() + downloader_->queued() > 0; ++i) {
      for (DownloadEvent& event : downloader_->poll(kLong)) all.push_back(std::move(event));
    }
    EXPECT_EQ(downloader_->running() + downloader_->queued(), 0u);
    return all;
  }

  static std::vector<DownloadEvent> only(const std::vector<DownloadEvent>& events, Kind kind) {
    std::vector<DownloadEvent> some;
    for (const DownloadEvent& event : events) {
      if (event.kind == kind) some.push_back(event);
    }
    return some;
  }

  std::vector<std::byte> object_ = random_bytes(50'000, 7);
  DownloaderParams params_;
  std::optional<MemoryTransport> transport_;
  std::optional<Downloader> downloader_;
};

TEST_F(DownloaderTest, CompletesOnlyWhatWasVerified) {
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  EXPECT_TRUE(events.back().verified);
  EXPECT_EQ(transport_->requests()[0].url,
            "http://a.test/t/public/" + manifests::object_path_in_tenant(name_of(object_).digest));
  uint64_t received = 0;
  for (const DownloadEvent& data : only(events, Kind::kData)) {
    received += data.new_bytes;
    EXPECT_EQ(data.received_bytes, received);
  }
  EXPECT_EQ(received, object_.size());
}

TEST_F(DownloaderTest, ResumesABrokenTransferWhereItStopped) {
  int calls = 0;
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    return ++calls <= 2 ? broken_after(std::move(response), 12'000) : response;
  });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  ASSERT_EQ(transport_->requests().size(), 3u);
  EXPECT_EQ(transport_->requests()[1].range->first, 12'000u);
  EXPECT_EQ(transport_->requests()[2].range->first, 24'000u);
  EXPECT_TRUE(has_header(transport_->requests()[1], "If-Range: \"e\""));
  const auto retries = only(events, Kind::kRetry);
  ASSERT_EQ(retries.size(), 2u);
  EXPECT_NE(retries[0].reason.find("connection reset"), std::string::npos);
  EXPECT_EQ(retries[0].retry_at_ns, retries[0].time_ns) << "progress was made: no pause";
}

TEST_F(DownloaderTest, ResumesFromAnotherBaseWithoutItsETag) {
  build(
      [&](const TransferRequest& request) {
        if (goes_to(request, "b.test")) return serve_bytes(object_, "\"other\"", request);
        if (request.range) return serve_status(503, true);
        return broken_after(serve_bytes(object_, "\"e\"", request), 12'000);
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  const TransferRequest& last = transport_->requests().back();
  EXPECT_TRUE(goes_to(last, "b.test"));
  EXPECT_EQ(last.range->first, 12'000u);
  EXPECT_TRUE(last.headers.empty());
}

TEST_F(DownloaderTest, StartsOverWhenTheServerIgnoresTheRange) {
  int calls = 0;
  build([&](TransferRequest request) {
    request.range.reset();
    Response response = serve_bytes(object_, "\"e\"", request);
    return ++calls == 1 ? broken_after(std::move(response), 12'000) : response;
  });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
}

TEST_F(DownloaderTest, StartsOverAfter416AndAfterAForeignRange) {
  for (const bool foreign : {false, true}) {
    int calls = 0;
    build([&](const TransferRequest& request) {
      Response response = serve_bytes(object_, "\"e\"", request);
      if (++calls == 1) return broken_after(std::move(response), 12'000);
      if (calls == 2 && foreign) response.headers.range_first = 0;
      return calls == 2 && !foreign ? serve_status(416, false) : response;
    });
    start_object(name_of(object_));
    const auto events = drain();
    ASSERT_EQ(events.back().kind, Kind::kComplete);
    EXPECT_EQ(events.back().bytes, object_);
    EXPECT_FALSE(transport_->requests().back().range.has_value());
  }
}

TEST_F(DownloaderTest, RefetchesACorruptObjectElsewhereAndNamesIt) {
  std::vector<std::byte> damaged = object_;
  damaged[777] ^= std::byte{1};
  build(
      [&](const TransferRequest& request) {
        return serve_bytes(goes_to(request, "a.test") ? damaged : object_, "\"e\"", request);
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  const auto retries = only(events, Kind::kRetry);
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_TRUE(retries[0].corrupt);
  EXPECT_NE(retries[0].reason.find(name_of(object_).digest.hex()), std::string::npos);
  EXPECT_NE(retries[0].reason.find("http://a.test/"), std::string::npos);
}

TEST_F(DownloaderTest, RefetchesPastCachesWhenThereIsNoElsewhereThenGivesUp) {
  std::vector<std::byte> damaged = object_;
  damaged[0] ^= std::byte{0x80};
  build([&](const TransferRequest& request) { return serve_bytes(damaged, "\"e\"", request); });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().error->kind, ErrorKind::kCorrupt);
  EXPECT_NE(events.back().error->message.find("chunk 3 plane 0"), std::string::npos);
  ASSERT_EQ(transport_->requests().size(), 2u);
  EXPECT_FALSE(has_header(transport_->requests()[0], "Cache-Control: no-cache"));
  EXPECT_TRUE(has_header(transport_->requests()[1], "Cache-Control: no-cache"));
}

TEST_F(DownloaderTest, AWrongLengthIsCorruptBeforeItsBodyIsTaken) {
  const std::vector<std::byte> longer = random_bytes(60'000, 8);
  build(
      [&](const TransferRequest& request) {
        return serve_bytes(goes_to(request, "a.test") ? longer : object_, "\"e\"", request);
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  ASSERT_EQ(only(events, Kind::kRetry).size(), 1u);
  EXPECT_NE(only(events, Kind::kRetry)[0].reason.find("60000 bytes where the manifest says 50000"),
            std::string::npos);
  EXPECT_EQ(only(events, Kind::kRetry)[0].received_bytes, 0u);
}

TEST_F(DownloaderTest, AShortBodyWithoutALengthIsCorrupt) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.headers.content_length.reset();
    response.body.resize(1000);
    return response;
  });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().error->kind, ErrorKind::kCorrupt);
}

TEST_F(DownloaderTest, HonoursRetryAfter) {
  int calls = 0;
  build([&](const TransferRequest& request) {
    if (++calls > 1) return serve_bytes(object_, "\"e\"", request);
    Response busy = serve_status(503, true);
    busy.failure->retry_after = std::chrono::seconds(2);
    return busy;
  });
  downloader_->set_deadline(transport_->now_ns() + 2'500'000'000);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  const auto retries = only(events, Kind::kRetry);
  ASSERT_EQ(retries.size(), 1u);
  EXPECT_EQ(retries[0].retry_at_ns - retries[0].time_ns, 2'000'000'000);
  EXPECT_GE(only(events, Kind::kStarted)[1].time_ns, retries[0].retry_at_ns);
}

TEST_F(DownloaderTest, RetryAfterHoldsBackOtherDownloadsButNotOtherBases) {
  params_.max_parallel = 1;
  const auto handler = [&](const TransferRequest& request) {
    if (goes_to(request, "b.test")) return serve_bytes(object_, "\"e\"", request);
    Response busy = serve_status(429, true);
    busy.failure->retry_after = std::chrono::seconds(3);
    return transport_->now_ns() < 3'000'000'000 ? busy : serve_bytes(object_, "\"e\"", request);
  };
  build(handler);
  start_object(name_of(object_));
  start_object(name_of(object_));
  EXPECT_EQ(only(drain(), Kind::kComplete).size(), 2u);
  EXPECT_EQ(transport_->requests().size(), 3u) << "the second download must not knock in vain";
  build(handler, 2);
  start_object(name_of(object_));
  start_object(name_of(object_));
  const auto events = drain();
  EXPECT_EQ(only(events, Kind::kComplete).size(), 2u);
  EXPECT_LT(events.back().time_ns, 2'000'000'000) << "b answers at once";
}

TEST_F(DownloaderTest, ATooLongRetryAfterIsARefusal) {
  build([&](const TransferRequest&) {
    Response busy = serve_status(503, true);
    busy.failure->retry_after = std::chrono::hours(1);
    return busy;
  });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().http_status, 503);
  EXPECT_EQ(transport_->requests().size(), 1u);
}

TEST_F(DownloaderTest, AnExclusionHoldsForAllDownloadsAndExpires) {
  params_.max_parallel = 1;
  build(
      [&](const TransferRequest& request) {
        if (goes_to(request, "a.test") && transport_->requests().size() == 1) {
          Response refused = serve_status(0, true);
          refused.failure->message = "connection refused";
          return refused;
        }
        return serve_bytes(object_, "\"e\"", request);
      },
      2);
  start_object(name_of(object_));
  start_object(name_of(object_));
  drain();
  ASSERT_EQ(transport_->requests().size(), 3u);
  EXPECT_TRUE(goes_to(transport_->requests()[1], "b.test"));
  EXPECT_TRUE(goes_to(transport_->requests()[2], "b.test"));
  downloader_->poll(params_.exclusion);  // nothing to do: time passes
  start_object(name_of(object_));
  drain();
  EXPECT_TRUE(goes_to(transport_->requests()[3], "a.test"));
}

TEST_F(DownloaderTest, AMissingObjectIsSoughtElsewhereAndThenGivenUpAtOnce) {
  build([&](const TransferRequest&) { return serve_status(404, false); }, 2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().http_status, 404);
  EXPECT_EQ(events.back().error->kind, ErrorKind::kIo);
  EXPECT_EQ(transport_->requests().size(), 2u);
}

TEST_F(DownloaderTest, GivesUpAfterSoManyFruitlessAttemptsWithGrowingPauses) {
  build([&](const TransferRequest&) { return serve_status(500, true); });
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().attempt, params_.max_attempts);
  EXPECT_EQ(transport_->requests().size(), params_.max_attempts);
  int64_t most = 50'000'000;
  for (const DownloadEvent& retry : only(events, Kind::kRetry)) {
    const int64_t pause = retry.retry_at_ns - retry.time_ns;
    EXPECT_GE(pause, most / 2);
    EXPECT_LE(pause, most);
    most = std::min<int64_t>(2 * most, 2'000'000'000);
  }
}

TEST_F(DownloaderTest, PausesShrinkWithTheTimeLeft) {
  build([&](const TransferRequest&) { return serve_status(500, true); });
  const int64_t deadline = transport_->now_ns() + 200'000'000;
  downloader_->set_deadline(deadline);
  start_object(name_of(object_));
  size_t before = 0;
  for (const DownloadEvent& retry : only(drain(), Kind::kRetry)) {
    if (retry.time_ns >= deadline) continue;
    ++before;
    EXPECT_LE(retry.retry_at_ns - retry.time_ns,
              std::max<int64_t>((deadline - retry.time_ns) / 10, 5'000'000));
  }
  EXPECT_GE(before, 5u);
}

TEST_F(DownloaderTest, ATrickleOfBytesDoesNotGoOnForEver) {
  build([&](const TransferRequest& request) {
    return broken_after(serve_bytes(object_, "\"e\"", request), 1);
  });
  start_object(name_of(object_));
  EXPECT_EQ(drain().back().kind, Kind::kFailed);
}

TEST_F(DownloaderTest, RunsAtMostSoManyInTheOrderGivenUrgentOnesFirst) {
  params_.max_parallel = 3;
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  for (int i = 0; i < 8; ++i) start_object(name_of(object_), "normal " + std::to_string(i));
  DownloadRequest urgent;
  urgent.name = "urgent";
  urgent.object = name_of(object_);
  urgent.priority = Priority::kUrgent;
  downloader_->start(urgent);
  EXPECT_EQ(downloader_->queued(), 9u);
  const auto started = only(drain(), Kind::kStarted);
  ASSERT_EQ(started.size(), 9u);
  EXPECT_EQ(started[0].name, "urgent");
  for (size_t i = 1; i < 9; ++i) EXPECT_EQ(started[i].name, "normal " + std::to_string(i - 1));
  EXPECT_EQ(transport_->most_in_flight(), 3u);
}

TEST_F(DownloaderTest, ACancelledDownloadIsSilentAndFreesItsPlace) {
  params_.max_parallel = 1;
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  const DownloadId first = start_object(name_of(object_));
  const DownloadId second = start_object(name_of(object_));
  const DownloadId third = start_object(name_of(object_));
  downloader_->poll(kLong);
  downloader_->cancel(first);
  downloader_->cancel(second);
  downloader_->cancel(12345);
  EXPECT_EQ(transport_->in_flight(), 0u);
  for (const DownloadEvent& event : drain()) EXPECT_EQ(event.id, third);
}

TEST_F(DownloaderTest, AManifestComesByUrlWithRetriesAndWithoutDigest) {
  int calls = 0;
  build([&](const TransferRequest& request) {
    if (++calls < 3) return serve_status(502, true);
    return serve_bytes(object_, "\"e\"", request);
  });
  DownloadRequest manifest;
  manifest.name = "manifest";
  manifest.url = kManifest;
  downloader_->start(manifest);
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  EXPECT_FALSE(events.back().verified);
  EXPECT_EQ(transport_->requests()[0].url, kManifest);
  EXPECT_TRUE(transport_->requests()[0].accept_compressed);
}

TEST_F(DownloaderTest, WithoutBasesOrWithBadOnesItSaysSo) {
  transport_.emplace([](const TransferRequest&) { return serve_status(404, false); });
  downloader_.emplace(*transport_);
  start_object(name_of(object_));
  EXPECT_EQ(drain().back().error->kind, ErrorKind::kUsage);
  const std::vector<BaseUrl> file = {{"file:///etc/", 1, 1}};
  EXPECT_FALSE(downloader_->set_bases(kManifest, file).ok());
}

TEST_F(DownloaderTest, WeightsShareOutBasesOfOnePriority) {
  transport_.emplace([&](const TransferRequest& r) { return serve_bytes(object_, "\"e\"", r); });
  downloader_.emplace(*transport_, params_);
  const std::vector<BaseUrl> bases = {{"http://a.test/", 1, 3}, {"http://b.test", 1, 1}};
  ASSERT_TRUE(downloader_->set_bases(kManifest, bases).ok());
  for (int i = 0; i < 400; ++i) start_object(name_of(object_));
  drain();
  size_t to_a = 0;
  for (const TransferRequest& request : transport_->requests()) to_a += goes_to(request, "a.test");
  EXPECT_GT(to_a, 260u);
  EXPECT_LT(to_a, 340u);
}

TEST_F(DownloaderTest, HedgesALateFirstByteOnAnotherBase) {
  bool slow = false;
  build(
      [&](const TransferRequest& request) {
        Response response = serve_bytes(object_, "\"e\"", request);
        if (slow && goes_to(request, "a.test")) response.first_byte = std::chrono::seconds(4);
        return response;
      },
      2);
  for (int i = 0; i < 5; ++i) start_object(name_of(object_));
  drain();
  slow = true;
  const int64_t begin = transport_->now_ns();
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  EXPECT_LT(events.back().time_ns - begin, 100'000'000);
  const auto hedges = only(events, Kind::kHedge);
  ASSERT_EQ(hedges.size(), 1u);
  EXPECT_TRUE(hedges[0].url.starts_with("http://b.test/"));
  EXPECT_NE(hedges[0].reason.find("no answer for"), std::string::npos);
  EXPECT_GE(hedges[0].waited_ns, 20'000'000);
  EXPECT_EQ(downloader_->bytes_twice(), 0u);
  EXPECT_EQ(transport_->in_flight(), 0u) << "the one that lost was cancelled";
}

TEST_F(DownloaderTest, HedgesASilentBodyFromWhereItStopped) {
  int calls = 0;
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    return ++calls == 6 ? hanging(std::move(response), 20'000) : response;
  });
  for (int i = 0; i < 5; ++i) start_object(name_of(object_));
  drain();
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  ASSERT_EQ(transport_->requests().size(), 7u);
  const TransferRequest& hedge = transport_->requests().back();
  ASSERT_TRUE(hedge.range.has_value());
  EXPECT_EQ(hedge.range->first, 20'000u);
  EXPECT_TRUE(hedge.fresh_connection) << "the old one hangs";
  EXPECT_EQ(only(events, Kind::kHedgeEnd).size(), 1u);
}

TEST_F(DownloaderTest, ARaceEndsWhenItsBudgetIsSpent) {
  const auto big = random_bytes(1'000'000, 3);
  build(
      [&](const TransferRequest& request) {
        Response response = serve_bytes(big, "\"e\"", request);
        if (goes_to(request, "a.test")) {
          response.pause_after = 100'000;
          response.pause = std::chrono::milliseconds(400);
          response.per_piece = std::chrono::milliseconds(3);
        }
        return response;
      },
      2);
  start_object(name_of(big));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, big);
  EXPECT_LE(downloader_->bytes_twice(), 50'000u + 4096u);
  uint64_t received = 0;
  for (const DownloadEvent& data : only(events, Kind::kData)) received += data.new_bytes;
  EXPECT_LE(received, big.size() + 50'000 + 2 * 4096);
  EXPECT_EQ(only(events, Kind::kHedge).size(), 1u);
}

TEST_F(DownloaderTest, WithoutABudgetThereAreNoHedges) {
  params_.hedge_byte_share = 0;
  build(
      [&](const TransferRequest& request) {
        Response response = serve_bytes(object_, "\"e\"", request);
        response.first_byte = std::chrono::seconds(2);
        return response;
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  EXPECT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(transport_->requests().size(), 1u);
}

TEST_F(DownloaderTest, AnOutageOfTheWholeLinkIsNotHedgedConnectionByConnection) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.pause_after = 20'000;
    response.pause = std::chrono::milliseconds(900);
    return response;
  });
  for (int i = 0; i < 4; ++i) start_object(name_of(object_));
  const auto events = drain();
  EXPECT_EQ(only(events, Kind::kComplete).size(), 4u);
  EXPECT_EQ(only(events, Kind::kHedge).size(), 0u);
}

TEST_F(DownloaderTest, WhatACancelledDownloadHadIsKept) {
  build([&](const TransferRequest& request) { return serve_bytes(object_, "\"e\"", request); });
  const DownloadId id = start_object(name_of(object_));
  uint64_t received = 0;
  while (received < 20'000) {
    for (const DownloadEvent& event : downloader_->poll(kLong)) received += event.new_bytes;
  }
  downloader_->cancel(id);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  EXPECT_EQ(transport_->requests()[1].range->first, received);
  EXPECT_NE(events.front().reason.find("cancelled"), std::string::npos);
}

TEST_F(DownloaderTest, LimitsShrinkWithTheTimeLeftAndGrowWithFailures) {
  build([&](const TransferRequest& request) {
    Response dead = hanging(serve_bytes(object_, "\"e\"", request), 0);
    dead.first_byte = std::chrono::hours(1);
    return dead;
  });
  downloader_->set_deadline(transport_->now_ns() + 2'000'000'000);
  start_object(name_of(object_));
  downloader_->poll(std::chrono::milliseconds(0));
  EXPECT_EQ(transport_->requests()[0].first_byte_limit, std::chrono::milliseconds(1000));
  EXPECT_EQ(transport_->requests()[0].connect_limit, std::chrono::milliseconds(1000));
  downloader_->set_deadline(std::nullopt);
  start_object(name_of(object_));
  downloader_->poll(std::chrono::milliseconds(0));
  EXPECT_EQ(transport_->requests()[1].first_byte_limit, params_.first_byte_limit);
}

TEST_F(DownloaderTest, RetriesWhatMaySucceedUntilTheDeadlineWhateverTheCount) {
  const int64_t begin = 1'000'000'000;
  build([&](const TransferRequest& request) {
    if (transport_->now_ns() < begin + 1'800'000'000) {
      Response refused = serve_status(0, true);
      refused.failure->message = "connection refused";
      return refused;
    }
    return serve_bytes(object_, "\"e\"", request);
  });
  downloader_->set_deadline(begin + 2'000'000'000);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_LT(events.back().time_ns, begin + 2'000'000'000);
  EXPECT_LT(transport_->requests().size(), 60u);
}

TEST_F(DownloaderTest, GivesEverythingUpWhenTheDeadlinePassedAndNothingArrives) {
  for (const bool refusing : {false, true}) {
    build([&](const TransferRequest& request) {
      if (refusing) return serve_status(0, true);
      return hanging(serve_bytes(object_, "\"e\"", request), 0);
    });
    const int64_t begin = transport_->now_ns();
    downloader_->set_deadline(begin + 500'000'000);
    for (int i = 0; i < 9; ++i) start_object(name_of(object_));
    const auto events = drain();
    EXPECT_EQ(only(events, Kind::kFailed).size(), 9u);
    EXPECT_EQ(events.back().error->kind, ErrorKind::kPromise);
    EXPECT_LE(events.back().time_ns - begin, 755'000'000);
    if (!refusing) continue;
    start_object(name_of(object_));
    EXPECT_EQ(downloader_->poll(std::chrono::milliseconds(1)).back().kind, Kind::kFailed)
        << "it does not wait for every chunk anew";
  }
}

TEST_F(DownloaderTest, ALateButLivingLinkIsNotGivenUp) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.per_piece = std::chrono::milliseconds(200);
    return response;
  });
  downloader_->set_deadline(transport_->now_ns() + 100'000'000);
  start_object(name_of(object_));
  EXPECT_EQ(drain().back().kind, Kind::kComplete);
}

TEST_F(DownloaderTest, AnswersWithoutBytesDoNotProlongAPlay) {
  build([&](const TransferRequest& request) {
    Response answers = hanging(serve_bytes(object_, "\"e\"", request), 0);
    if (transport_->requests().size() % 2 == 0) answers = serve_status(503, true);
    answers.first_byte = std::chrono::milliseconds(100);
    return answers;
  });
  const int64_t begin = transport_->now_ns();
  downloader_->set_deadline(begin + 200'000'000);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().error->kind, ErrorKind::kPromise);
  EXPECT_LE(events.back().time_ns - begin, 455'000'000);
}

TEST_F(DownloaderTest, NothingOutlivesALateLimit) {
  params_.late_limit = std::chrono::milliseconds(300);
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.per_piece = std::chrono::milliseconds(200);
    return response;
  });
  const int64_t begin = transport_->now_ns();
  downloader_->set_deadline(begin + 100'000'000);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kFailed);
  EXPECT_EQ(events.back().error->kind, ErrorKind::kPromise);
  EXPECT_NE(events.back().reason.find("the limit"), std::string::npos) << events.back().reason;
  EXPECT_LE(events.back().time_ns - begin, 405'000'000);
}

TEST_F(DownloaderTest, ReadingThatPausesIsNoSilence) {
  build([&](const TransferRequest& request) {
    Response response = serve_bytes(object_, "\"e\"", request);
    response.first_byte = std::chrono::milliseconds(400);  // as if it came when reading goes on
    return response;
  });
  const int64_t begin = transport_->now_ns();
  downloader_->set_deadline(begin + 1'000'000);
  start_object(name_of(object_));
  downloader_->pause(true);
  while (transport_->now_ns() < begin + 300'000'000) {
    EXPECT_EQ(only(downloader_->poll(std::chrono::milliseconds(100)), Kind::kFailed).size(), 0u);
  }
  downloader_->pause(false);
  const auto events = drain();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().kind, Kind::kComplete) << events.back().reason;
}

TEST_F(DownloaderTest, AHedgeThatFailsLeavesTheFirstAttemptAlone) {
  build(
      [&](const TransferRequest& request) {
        if (goes_to(request, "b.test")) return serve_status(404, false);
        Response response = serve_bytes(object_, "\"e\"", request);
        response.first_byte = std::chrono::milliseconds(1500);
        return response;
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(only(events, Kind::kRetry).size(), 0u);
  ASSERT_GE(only(events, Kind::kHedgeEnd).size(), 1u);
  EXPECT_EQ(only(events, Kind::kHedgeEnd)[0].http_status, 404);
}

TEST_F(DownloaderTest, WhenTheFirstAttemptFailsTheHedgeGoesOn) {
  build(
      [&](const TransferRequest& request) {
        Response response = serve_bytes(object_, "\"e\"", request);
        if (goes_to(request, "b.test")) {
          response.first_byte = std::chrono::milliseconds(600);
          return response;
        }
        response = broken_after(std::move(response), 0);
        response.headers.status = 0;
        response.first_byte = std::chrono::milliseconds(1300);
        return response;
      },
      2);
  start_object(name_of(object_));
  const auto events = drain();
  ASSERT_EQ(events.back().kind, Kind::kComplete);
  EXPECT_EQ(events.back().bytes, object_);
  EXPECT_EQ(only(events, Kind::kRetry).size(), 0u);
  EXPECT_EQ(transport_->requests().size(), 2u);
}

// Whatever servers do, a download ends, within bounded time, with the right bytes or an error.
TEST_F(DownloaderTest, EndsRightOrFailsUnderRandomFaults) {
  std::mt19937_64 random(20);
  size_t completed = 0;
  for (int round = 0; round < 300; ++round) {
    const size_t size = random() % 3 == 0 ? random() % 3 : random() % 30'000;
    const auto object = random_bytes(size, random());
    params_.seed = random();
    const bool deadline = random() % 3 == 0;
    const uint64_t fault_rate = random() % 101;
    build(
        [&](const TransferRequest& request) {
          Response response = serve_bytes(object, random() % 2 ? "\"x\"" : "W/\"y\"", request);
          if (random() % 100 >= fault_rate) return response;
          switch (random() % 10) {
            case 8:
              return hanging(std::move(response), random() % (size + 1));
            case 9:
              response.first_byte = std::chrono::milliseconds(random() % 3000);
              break;
            case 0:
              return serve_status(503, true);
            case 1:
              return serve_status(404, false);
            case 2:
              return serve_status(416, false);
            case 3:
              return broken_after(std::move(response), 0);
            case 4:
              response.headers.content_length.reset();
              response.body.clear();
              break;
            case 5:
              if (!response.body.empty()) response.body[0] ^= std::byte{1};
              break;
            case 6:
              response.headers.range_first = random() % 3;
              break;
            default:
              return broken_after(std::move(response), random() % (size + 1));
          }
          return response;
        },
        1 + random() % 2);
    const int64_t begin = transport_->now_ns();
    if (deadline) downloader_->set_deadline(begin + 1'000'000'000);
    for (int i = 0; i < 5; ++i) start_object(name_of(object));
    size_t ended = 0;
    for (const DownloadEvent& event : drain()) {
      ended += event.kind == Kind::kComplete || event.kind == Kind::kFailed;
      EXPECT_EQ(event.kind == Kind::kFailed, event.error.has_value());
      if (event.kind != Kind::kComplete) continue;
      EXPECT_EQ(event.bytes, object);
      ++completed;
    }
    EXPECT_EQ(ended, 5u);
    EXPECT_LT(transport_->now_ns() - begin, 120'000'000'000);
  }
  EXPECT_GT(completed, 500u);
}

}  // namespace
}  // namespace kvcast::player
