// A store behind HTTP, against an S3 that misbehaves. The real gateway: tests/stores_test.py.
#include "manifests/store/remote_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "manifests/digest.h"
#include "manifests/testing/fake_s3.h"

namespace kvcast::manifests {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class RemoteStoreTest : public testing::Test {
 protected:
  // Servers that stall show after kStall; no others are taken for such on a busy machine.
  static constexpr milliseconds kStall{300}, kNever{120'000};
  RemoteStoreParams s3_params(milliseconds stall_limit = kNever) {
    RemoteStoreParams params;
    params.name = "s3://bucket/prefix";
    params.bucket_url = server_.endpoint() + FakeS3::kBucket;
    params.base_url = params.bucket_url + "/prefix";
    params.key_prefix = "prefix/";
    params.http.s3 = S3Keys{"access", "not-a-secret", "session", "eu-north-1"};
    params.http.stall_limit = stall_limit;
    params.part_bytes = 1000;
    params.sleep = [this](milliseconds delay) {
      const std::lock_guard lock(mutex_);
      slept_.push_back(delay);
    };
    return params;
  }
  RemoteStoreParams origin_params() {
    RemoteStoreParams params = s3_params();
    params.name = server_.endpoint();
    params.http.s3.reset();
    params.http.bearer_token = "t0ken";
    return params;
  }

  static Status put(Store& store, const std::string& path, const std::string& bytes,
                    bool only_if_absent = false) {
    auto file = store.stage("");
    if (!file.ok()) return file.error();
    Status written = file->write(0, std::as_bytes(std::span(bytes)));
    if (!written.ok()) return written;
    std::vector<Upload> uploads;
    uploads.push_back({path, std::move(*file), bytes.size(), only_if_absent});
    return store.put(std::move(uploads));
  }

  // The first `count` requests of this method meet the fault.
  void fail(const std::string& method, Fault fault, int count) {
    server_.fault = [=](const FakeRequest& request) mutable {
      return request.method == method && count-- > 0 ? fault : Fault::kNone;
    };
  }

  FakeS3 server_;
  std::mutex mutex_;
  std::vector<milliseconds> slept_;
  const std::string text_ = std::string(5000, 'x') + "end";
};

TEST_F(RemoteStoreTest, GivesBackWhatWasPut) {
  RemoteStore store(s3_params());
  ASSERT_TRUE(put(store, "t/public/m/a.json", "small").ok());
  ASSERT_TRUE(put(store, "t/public/o/ab/abc.kvo", text_).ok());
  EXPECT_THAT(server_.objects(),
              testing::ElementsAre(testing::Pair("/prefix/t/public/m/a.json", "small"),
                                   testing::Pair("/prefix/t/public/o/ab/abc.kvo", text_)));
  EXPECT_EQ(server_.unfinished_uploads(), 0u);
  EXPECT_EQ(**read_text(store, "t/public/o/ab/abc.kvo", 10'000), text_);
  EXPECT_EQ(*read_text(store, "t/public/m/b.json", 10'000), std::nullopt);
  const auto facts = store.look("t/public/m/a.json");
  EXPECT_EQ((*facts)->bytes, 5u);
  EXPECT_FALSE(store.look("t/public/m/b.json")->has_value());
  const auto again = store.read("t/public/m/a.json", (*facts)->tag,
                                [](std::span<const std::byte>) { return Status(); });
  EXPECT_EQ(again->kind, ReadOutcome::Kind::kUnchanged);
  EXPECT_TRUE(*store.remove("t/public/m/a.json"));
  EXPECT_FALSE(*store.remove("t/public/m/a.json"));
}

TEST_F(RemoteStoreTest, SignsAndSaysWhatTheBodyIs) {
  RemoteStore store(s3_params());
  ASSERT_TRUE(put(store, "t/public/m/a.json", "small").ok());
  ASSERT_TRUE(read_text(store, "t/public/m/a.json", 100).ok());
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_THAT(requests[0].fields.at("authorization"), HasSubstr("/eu-north-1/s3/aws4_request"));
  EXPECT_EQ(requests[0].fields.at("x-amz-content-sha256"),
            sha256(std::as_bytes(std::span("small", 5))).hex());
  EXPECT_EQ(requests[0].fields.at("x-amz-security-token"), "session");
  EXPECT_EQ(requests[1].fields.at("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
  for (const auto& request : requests) {
    for (const auto& [name, value] : request.fields) {
      EXPECT_EQ(value.find("not-a-secret"), value.npos) << name;
    }
  }
}

TEST_F(RemoteStoreTest, SendsABearerTokenToAnOriginAndNoParts) {
  RemoteStore store(origin_params());
  ASSERT_TRUE(put(store, "t/public/o/ab/abc.kvo", text_, true).ok());
  const auto requests = server_.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].fields.at("authorization"), "Bearer t0ken");
  EXPECT_FALSE(requests[0].fields.contains("x-amz-content-sha256"));
  EXPECT_FALSE(requests[0].fields.contains("if-none-match"));
}

TEST_F(RemoteStoreTest, TakesAClosedOriginForOneThatHoldsNothing) {
  fail("HEAD", Fault::kForbidden, 1);
  RemoteStore origin(origin_params());
  EXPECT_FALSE(origin.look("t/public/o/ab/abc.kvo")->has_value());
  fail("HEAD", Fault::kForbidden, 1);
  RemoteStore s3(s3_params());
  EXPECT_FALSE(s3.look("t/public/o/ab/abc.kvo").ok());
}

TEST_F(RemoteStoreTest, TriesAgainWhenTheServerIsBusyOrGone) {
  for (const Fault fault :
       {Fault::kSlowDown, Fault::kServerError, Fault::kReset, Fault::kStall, Fault::kLostAnswer}) {
    for (const std::string& body : {std::string("small"), text_}) {
      RemoteStore store(s3_params(kStall));
      fail("PUT", fault, 2);
      const Status done = put(store, "t/public/o/ab/abc.kvo", body);
      EXPECT_TRUE(done.ok()) << static_cast<int>(fault) << done.error().message;
      EXPECT_EQ(server_.objects().at("/prefix/t/public/o/ab/abc.kvo"), body);
      EXPECT_EQ(server_.unfinished_uploads(), 0u);
    }
  }
}

TEST_F(RemoteStoreTest, WaitsAsLongAsTheServerAsks) {
  fail("PUT", Fault::kSlowDown, 2);
  RemoteStore store(s3_params());
  ASSERT_TRUE(put(store, "m", "small").ok());
  ASSERT_EQ(slept_.size(), 2u);
  for (const milliseconds each : slept_) EXPECT_GE(each, milliseconds(1000));
}

TEST_F(RemoteStoreTest, GivesUpAndSaysWhy) {
  fail("PUT", Fault::kSlowDown, 1000);
  RemoteStore store(s3_params());
  const Status busy = put(store, "t/public/m/a.json", "small");
  ASSERT_FALSE(busy.ok());
  EXPECT_THAT(busy.error().message,
              HasSubstr("s3://bucket/prefix: cannot store t/public/m/a.json"));
  EXPECT_THAT(busy.error().message, HasSubstr("503 SlowDown (as told & done)"));
  EXPECT_EQ(server_.requests().size(), 6u);
  fail("PUT", Fault::kForbidden, 1000);
  const Status refused = put(store, "t/public/m/a.json", "small");
  EXPECT_THAT(refused.error().message, HasSubstr("AccessDenied"));
  EXPECT_THAT(refused.error().message, HasSubstr("check the keys"));
  EXPECT_EQ(server_.requests().size(), 7u);
}

TEST_F(RemoteStoreTest, GivesUpPartsOfWhatCannotBeFinished) {
  server_.fault = [](const FakeRequest& request) {
    return request.query.starts_with("partNumber=3") ? Fault::kForbidden : Fault::kNone;
  };
  RemoteStore store(s3_params());
  const Status done = put(store, "t/public/o/ab/abc.kvo", text_);
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().message, HasSubstr("part 3"));
  EXPECT_TRUE(server_.objects().empty());
  EXPECT_EQ(server_.unfinished_uploads(), 0u);
}

TEST_F(RemoteStoreTest, FindsItsUploadCompleteWhenTheAnswerWasLost) {
  fail("POST", Fault::kNone, 0);
  server_.fault = [done = false](const FakeRequest& request) mutable {
    if (done || request.method != "POST" || request.query == "uploads=") return Fault::kNone;
    done = true;
    return Fault::kLostAnswer;
  };
  RemoteStore store(s3_params());
  EXPECT_TRUE(put(store, "t/public/o/ab/abc.kvo", text_).ok());
  EXPECT_EQ(server_.objects().at("/prefix/t/public/o/ab/abc.kvo"), text_);
}

TEST_F(RemoteStoreTest, LeavesWhatAnotherWriterPut) {
  server_.set("/prefix/t/public/o/ab/abc.kvo", "another's");
  RemoteStore store(s3_params());
  EXPECT_TRUE(put(store, "t/public/o/ab/abc.kvo", "ours", true).ok());
  EXPECT_EQ(server_.objects().at("/prefix/t/public/o/ab/abc.kvo"), "another's");
}

TEST_F(RemoteStoreTest, GoesWithoutConditionsWhereTheyAreNotKnown) {
  server_.fault = [](const FakeRequest& request) {
    return request.fields.contains("if-none-match") ? Fault::kNotImplemented : Fault::kNone;
  };
  RemoteStore store(s3_params());
  EXPECT_TRUE(put(store, "t/public/o/ab/abc.kvo", "ours", true).ok());
  EXPECT_TRUE(put(store, "t/public/o/ab/abd.kvo", "ours", true).ok());
  EXPECT_EQ(server_.objects().size(), 2u);
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(RemoteStoreTest, ReadsOnWhereABodyBrokeOff) {
  server_.set("/prefix/m", text_);
  for (const bool ignores_ranges : {false, true}) {
    server_.ignores_ranges = ignores_ranges;
    for (const Fault fault : {Fault::kTruncate, Fault::kStallInBody, Fault::kReset}) {
      fail("GET", fault, 2);
      RemoteStore store(s3_params(kStall));
      const auto text = read_text(store, "m", 10'000);
      ASSERT_TRUE(text.ok()) << text.error().message;
      EXPECT_EQ(**text, text_);
    }
  }
}

TEST_F(RemoteStoreTest, DoesNotMixTwoVersions) {
  server_.set("/prefix/m", text_);
  server_.fault = [this, count = 0](const FakeRequest&) mutable {
    return ++count == 1 ? Fault::kTruncate : Fault::kNone;
  };
  RemoteStoreParams params = s3_params();
  params.sleep = [this](milliseconds) { server_.set("/prefix/m", std::string(5003, 'y')); };
  RemoteStore store(params);
  const auto text = read_text(store, "m", 10'000);
  ASSERT_FALSE(text.ok());
  EXPECT_THAT(text.error().message, HasSubstr("412"));
}

TEST_F(RemoteStoreTest, EndsSoonWhenAbandoned) {
  RemoteStoreParams params = s3_params();
  params.http.stall_limit = std::chrono::hours(1);
  fail("GET", Fault::kStall, 1000);
  RemoteStore store(params);
  std::jthread abandoner([&] {
    while (server_.requests().empty()) std::this_thread::sleep_for(milliseconds(1));
    store.abandon();
  });
  EXPECT_FALSE(read_text(store, "m", 10'000).ok());
}

TEST_F(RemoteStoreTest, ListsAllPages) {
  for (int i = 0; i < 7; ++i) server_.set("/prefix/t/a/" + std::to_string(i), "four");
  server_.set("/prefix/t/b/0", "four");
  server_.set("/other", "four");
  RemoteStore store(s3_params());
  std::set<std::string> paths;
  ASSERT_TRUE(store
                  .list("t/a/",
                        [&](const ListedFile& file) {
                          EXPECT_EQ(file.bytes, 4u);
                          EXPECT_EQ(file.modified_s, 1769860800);
                          paths.insert(file.path);
                          return Status();
                        })
                  .ok());
  EXPECT_EQ(paths.size(), 7u);
  EXPECT_TRUE(paths.contains("t/a/6"));
  EXPECT_FALSE(
      RemoteStore(origin_params()).list("", [](const ListedFile&) { return Status(); }).ok());
}

TEST_F(RemoteStoreTest, AListThatNeverEndsIsEnded) {
  server_.lists_for_ever = true;
  const Status listed =
      RemoteStore(s3_params()).list("t/a/", [](const ListedFile&) { return Status(); });
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().kind, ErrorKind::kCorrupt);
  EXPECT_NE(listed.error().message.find("does not go on"), std::string::npos);
}

TEST(RetryDelay, DoublesItsLimitAndObeysTheServer) {
  const RetryPolicy policy{4, milliseconds(100), milliseconds(300), milliseconds(2000)};
  EXPECT_EQ(retry_delay(policy, 1, {}, 0), milliseconds(0));
  EXPECT_EQ(retry_delay(policy, 1, {}, ~0u), milliseconds(99));
  EXPECT_EQ(retry_delay(policy, 2, {}, ~0u), milliseconds(199));
  EXPECT_EQ(retry_delay(policy, 3, {}, ~0u), milliseconds(299));
  EXPECT_EQ(retry_delay(policy, 4, {}, 0), std::nullopt);
  EXPECT_EQ(retry_delay(policy, 1, std::chrono::seconds(2), 0), milliseconds(2000));
  EXPECT_EQ(retry_delay(policy, 1, std::chrono::seconds(3), 0), std::nullopt);
}

}  // namespace
}  // namespace kvcast::manifests
