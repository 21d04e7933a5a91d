// A server that is a read-through cache, before a store in memory that can fail and wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "manifests/memory_store.h"
#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/through/cache_index.h"

namespace kvcast::origin {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kManifest = "t/public/m/story.json";

class Through : public ::testing::Test {
 protected:
  Through() {
    params_.root = (folder_.path() / "cache").string();
    params_.threads = 2;
    params_.access_log = false;
    params_.store = store_;
    params_.notice = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      notices_.push_back(line);
    };
  }

  uint16_t start() {
    server_.reset();
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }

  // The path of an object in the store.
  std::string add_object(const std::string& bytes) {
    const auto digest = manifests::sha256(std::as_bytes(std::span(bytes)));
    std::string path = manifests::object_path("public", digest);
    store_->set(path, bytes);
    return path;
  }

  testing::Response get(const std::string& path, const std::string& more = "") {
    return testing::get(server_->port(), "/" + path, more);
  }

  size_t cached_files() const {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(params_.root)) {
      files += entry.is_regular_file() && !entry.path().filename().string().starts_with('.');
    }
    return files;
  }

  testing::TemporaryFolder folder_;
  std::shared_ptr<manifests::MemoryStore> store_ = std::make_shared<manifests::MemoryStore>();
  ServerParams params_;
  std::mutex mutex_;
  std::vector<std::string> notices_;
  std::unique_ptr<Server> server_;  // last: its threads use the rest
};

TEST_F(Through, AMissIsFetchedAndThenAHit) {
  start();
  const std::string bytes = testing::noise(3'000'000, 1);
  const std::string path = add_object(bytes);
  const auto miss = get(path);
  EXPECT_EQ(miss.status, 200);
  EXPECT_TRUE(miss.body == bytes);
  EXPECT_EQ(miss.field("cache-status"), "kvcast; fwd=uri-miss; stored");
  const auto hit = get(path, "Range: bytes=10-19\r\n");
  EXPECT_EQ(hit.status, 206);
  EXPECT_EQ(hit.body, bytes.substr(10, 10));
  EXPECT_EQ(hit.field("cache-status"), "kvcast; hit");
  EXPECT_EQ(hit.field("etag"), miss.field("etag"));
  EXPECT_EQ(store_->reads(), 1u);
  const std::string metrics = get("metrics").body;
  EXPECT_THAT(metrics, HasSubstr("\nkvcast_cache_hits_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nkvcast_cache_misses_total 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\nkvcast_cache_bytes 3000000\n"));
}

TEST_F(Through, WhatTheStoreLacksIsNotFoundAndAskedForOnceInAWhile) {
  start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(kManifest).status, 404);
  EXPECT_LE(store_->reads(), 3u);
  for (const char* path : {"secrets.txt", "t/public/o/ab/x.kvo", "t/public/", "other/m/a.json"}) {
    store_->set(path, "not of a presentation");
    const size_t reads = store_->reads();
    EXPECT_EQ(get(path).status, 404) << path;
    EXPECT_EQ(store_->reads(), reads) << path;
  }
}

TEST_F(Through, ManyClientsOfOneObjectAreOneFetch) {
  std::atomic<bool> may_answer = false;
  store_->on_read = [&](const std::string&) {
    while (!may_answer) std::this_thread::sleep_for(milliseconds(1));
  };
  start();
  const std::string path = add_object(testing::noise(100'000, 2));
  std::vector<std::jthread> clients;
  std::atomic<int> good = 0;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back([&] { good += get(path).status == 200; });
  }
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_EQ(get("healthz").status, 200);  // others are served meanwhile
  may_answer = true;
  clients.clear();
  EXPECT_EQ(good, 20);
  EXPECT_EQ(store_->reads(), 1u);
}

TEST_F(Through, AManifestIsServedWhileTheStoreIsAskedAndThenAnew) {
  params_.cache_fresh_s = 0;
  params_.cache_stale_s = 1'000'000;
  start();
  store_->set(kManifest, "first");
  EXPECT_EQ(get(kManifest).body, "first");
  store_->set(kManifest, "second");
  std::string body = "first";
  bool was_stale = false;
  for (int i = 0; i < 500 && body == "first"; ++i) {
    const auto response = get(kManifest);
    was_stale = was_stale || response.field("cache-status") == "kvcast; hit; detail=stale";
    body = response.body;
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(body, "second");
  EXPECT_TRUE(was_stale);
}

TEST_F(Through, AnOldManifestIsAskedAboutFirstAndServedWhenTheStoreIsGone) {
  params_.cache_fresh_s = 0;
  params_.cache_stale_s = 0;
  start();
  store_->set(kManifest, "first");
  const auto first = get(kManifest);
  std::this_thread::sleep_for(milliseconds(1100));
  const auto same = get(kManifest);
  EXPECT_EQ(same.field("etag"), first.field("etag"));
  EXPECT_THAT(same.field("cache-status"), HasSubstr("stored"));
  std::this_thread::sleep_for(milliseconds(1100));
  store_->fail_on_call(1, true);
  const auto stale = get(kManifest);
  EXPECT_EQ(stale.status, 200);
  EXPECT_EQ(stale.body, "first");
  EXPECT_EQ(stale.field("cache-status"), "kvcast; hit; detail=stale");
  store_->fail_on_call(0);
  ASSERT_TRUE(store_->remove(kManifest).ok());
  std::this_thread::sleep_for(milliseconds(1100));
  EXPECT_EQ(get(kManifest).status, 404);
  EXPECT_EQ(cached_files(), 0u);
}

TEST_F(Through, AClientDoesNotWaitLongForNewsOfWhatIsThere) {
  params_.cache_fresh_s = 0;
  params_.cache_stale_s = 0;
  std::atomic<bool> may_answer = true;
  store_->on_read = [&](const std::string&) {
    while (!may_answer) std::this_thread::sleep_for(milliseconds(1));
  };
  params_.limits.fetch_wait_ms = 1'000'000;
  start();
  store_->set(kManifest, "first");
  EXPECT_EQ(get(kManifest).body, "first");
  std::this_thread::sleep_for(milliseconds(1100));
  may_answer = false;
  EXPECT_EQ(get(kManifest).field("cache-status"), "kvcast; hit; detail=stale");
  may_answer = true;
  server_.reset();  // whose threads call on_read
}

TEST_F(Through, OnlyTheFirstWaitsForAStoreThatIsGone) {
  params_.cache_fresh_s = 0;
  params_.cache_stale_s = 1'000'000;
  start();
  store_->set(kManifest, "first");
  EXPECT_EQ(get(kManifest).body, "first");
  server_.reset();
  std::atomic<int> asked = 0;
  std::atomic<bool> may_answer = true;
  store_->on_read = [&](const std::string&) {
    ++asked;
    while (!may_answer) std::this_thread::sleep_for(milliseconds(1));
  };
  store_->fail_on_call(1, true);
  start();  // of what an earlier process left nobody knows how old it is
  EXPECT_EQ(get(kManifest).body, "first");
  EXPECT_EQ(asked, 1);
  std::this_thread::sleep_for(milliseconds(1100));
  may_answer = false;
  EXPECT_EQ(get(kManifest).body, "first");  // at once: behind its back the store is asked
  may_answer = true;
  server_.reset();  // whose threads call on_read
}

TEST_F(Through, AStoreThatFailsIsABadGateway) {
  start();
  const std::string path = add_object("some bytes");
  store_->fail_on_call(1);
  const auto failed = get(path);
  EXPECT_EQ(failed.status, 502);
  EXPECT_EQ(failed.field("retry-after"), "1");
  EXPECT_EQ(failed.field("cache-control"), "no-store");
  EXPECT_EQ(get(path).status, 200);
  const std::lock_guard lock(mutex_);
  EXPECT_THAT(notices_, ElementsAre(HasSubstr("was to fail")));
}

TEST_F(Through, TheStoreCanBeOpenedAgainWithOtherKeys) {
  start();
  const std::string bytes = "some bytes", path = add_object(bytes);
  store_->fail_on_call(1, true);
  EXPECT_EQ(get(path).status, 502);
  const auto with_new_keys = std::make_shared<manifests::MemoryStore>();
  with_new_keys->set(path, bytes);
  ASSERT_TRUE(server_->reload(with_new_keys).ok());
  EXPECT_EQ(get(path).status, 200);
  EXPECT_EQ(with_new_keys->reads(), 1u);
}

TEST_F(Through, AStoreThatStallsIsATimeoutAndWhatItBringsLaterIsKept) {
  std::atomic<bool> may_answer = false;
  store_->on_read = [&](const std::string&) {
    while (!may_answer) std::this_thread::sleep_for(milliseconds(1));
  };
  params_.limits.fetch_wait_ms = 50;
  start();
  const std::string path = add_object("some bytes");
  const auto late = get(path);
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(late.field("retry-after"), "1");
  may_answer = true;
  int status = 0;
  for (int i = 0; i < 500 && status != 200; ++i) status = get(path).status;
  EXPECT_EQ(status, 200);
  EXPECT_EQ(store_->reads(), 1u);
}

TEST_F(Through, ADamagedObjectIsNeitherServedNorKept) {
  start();
  const std::string path = add_object("some bytes");
  store_->set(path, "other bytes");
  EXPECT_EQ(get(path).status, 502);
  EXPECT_EQ(cached_files(), 0u);
  EXPECT_THAT(get("metrics").body, HasSubstr("\nkvcast_cache_damaged_objects_total 1\n"));
}

TEST_F(Through, TheCacheStaysWithinItsSize) {
  params_.cache_bytes = 2 << 20;
  start();
  std::vector<std::string> paths;
  for (unsigned i = 0; i < 12; ++i) paths.push_back(add_object(testing::noise(500'000, i)));
  for (const std::string& path : paths) EXPECT_EQ(get(path).status, 200);
  EXPECT_LE(cached_files(), 4u);
  EXPECT_GE(cached_files(), 3u);
  // Open files are trusted for a second.
  std::this_thread::sleep_for(milliseconds(1500));
  EXPECT_EQ(get(paths[0]).field("cache-status"), "kvcast; fwd=uri-miss; stored");
  const std::string large = add_object(testing::noise(3'000'000, 99));
  EXPECT_EQ(get(large).status, 502);
}

TEST_F(Through, WhatWasCachedIsFoundAfterARestart) {
  start();
  const std::string path = add_object("some bytes");
  store_->set(kManifest, "first");
  EXPECT_EQ(get(path).status, 200);
  const auto before = get(kManifest);
  std::ofstream(params_.root + "/.tmp-0123456789abcdef") << "half";
  start();
  EXPECT_FALSE(std::filesystem::exists(params_.root + "/.tmp-0123456789abcdef"));
  store_->fail_on_call(1, true);
  EXPECT_EQ(get(path).field("cache-status"), "kvcast; hit");
  EXPECT_EQ(get(kManifest).field("cache-status"), "kvcast; hit; detail=stale");
  store_->fail_on_call(0);
  const auto after = get(kManifest);
  EXPECT_EQ(after.field("etag"), before.field("etag"));
}

TEST_F(Through, AFolderIsOfOneStoreAndOneProcess) {
  start();
  const auto second = Server::start(params_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().message, HasSubstr("another process uses this cache"));
  server_.reset();
  std::ofstream(params_.root + "/.kvcast-cache") << "s3://other";
  const auto other = Server::start(params_);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().kind, manifests::ErrorKind::kUsage);
  EXPECT_THAT(other.error().message, HasSubstr("s3://other"));
}

TEST_F(Through, TheServerEndsThoughTheStoreDoesNotAnswer) {
  std::atomic<bool> may_answer = false, asked = false;
  store_->on_read = [&](const std::string&) {
    asked = true;
    while (!may_answer) std::this_thread::sleep_for(milliseconds(1));
  };
  start();
  const std::string path = add_object("some bytes");
  std::jthread client([&] { EXPECT_NE(get(path).status, 200); });
  while (!asked) std::this_thread::sleep_for(milliseconds(1));
  server_->stop(milliseconds(0));
  may_answer = true;
  server_.reset();
}

TEST(CacheIndex, GivesUpWhatWasUsedLongestAgo) {
  CacheIndex index;
  index.adopt("old", 10, 1);
  index.put("a", 20, "x", 5);
  index.put("b", 30, "y", 3);
  index.put("a", 25, "z", 6);
  EXPECT_EQ(index.bytes(), 65u);
  EXPECT_EQ(index.tag("a"), "z");
  EXPECT_EQ(index.tag("old"), "");
  index.find("old")->used_s = 9;
  EXPECT_THAT(index.take_beyond(65), ElementsAre());
  EXPECT_THAT(index.take_beyond(36), ElementsAre("b"));
  EXPECT_EQ(index.bytes(), 35u);
  EXPECT_EQ(index.find("b"), nullptr);
  index.remove("a");
  index.remove("a");
  EXPECT_EQ(index.bytes(), 10u);
  EXPECT_EQ(index.files(), 1u);
}

}  // namespace
}  // namespace kvcast::origin
