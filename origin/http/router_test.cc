#include "origin/http/router.h"

#include <gtest/gtest.h>

#include "origin/http/date.h"

namespace kvcast::origin {
namespace {

constexpr int64_t kModified = 784111777, kNow = kModified + 1000;
const std::string kDate = format_http_date(kModified);
const FileInfo kInfo{1000, kModified * 1'000'000'000 + 5, 3};
const std::string kTag = entity_tag("a.json", kInfo);

Request get(const std::string& target = "/a.json") {
  Request request;
  request.method = Method::kGet;
  request.method_name = "GET";
  request.target = target;
  request.host = "h";
  return request;
}

// The plan is good until the next call.
ResponsePlan plan(const Request& request, const FileInfo& info = kInfo) {
  static FileFacts facts;
  facts = describe_file("a.json", info);
  return plan_file(request, facts, kNow);
}

Route routed(const Request& request, const RoutePolicy& policy) {
  LoggedTarget logged;
  return route(request, policy, {}, kNow, logged);
}

int status_of(const Route& route) {
  const auto* answer = std::get_if<ResponsePlan>(&route);
  return answer == nullptr ? 0 : answer->status;
}

TEST(Router, Routes) {
  const Route file = routed(get("/x/y?z"), {});
  ASSERT_TRUE(std::holds_alternative<FileRoute>(file));
  EXPECT_EQ(std::get<FileRoute>(file).admission.path, "x/y");
  EXPECT_EQ(std::get<Service>(routed(get("/healthz"), {})), Service::kHealth);
  EXPECT_EQ(std::get<Service>(routed(get("/readyz"), {})), Service::kReady);
  EXPECT_EQ(std::get<Service>(routed(get("/metrics"), {})), Service::kMetrics);
  EXPECT_TRUE(std::holds_alternative<FileRoute>(routed(get("/metrics"), {65536, false})));
  EXPECT_EQ(status_of(routed(get("/"), {})), 404);
  EXPECT_EQ(status_of(routed(get("/x/"), {})), 404);
  EXPECT_EQ(status_of(routed(get("/../x"), {})), 404);
  EXPECT_EQ(status_of(routed(get("/%"), {})), 400);
  EXPECT_EQ(status_of(routed(get("*"), {})), 400);
}

TEST(Router, OtherMethodsAreToldWhichThereAre) {
  Request request = get();
  request.method = Method::kOther;
  const Route answer = routed(request, {});
  EXPECT_EQ(status_of(answer), 405);
  EXPECT_TRUE(std::get<ResponsePlan>(answer).lists_methods);
  EXPECT_TRUE(std::get<ResponsePlan>(answer).send_body);
}

TEST(Router, OptionsHasNoBody) {
  Request request = get("*");
  request.method = Method::kOptions;
  const ResponsePlan answer = std::get<ResponsePlan>(routed(request, {}));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.body_bytes, 0u);
  EXPECT_TRUE(answer.is_preflight);
}

TEST(Router, BodiesBeyondTheLimit) {
  Request request = get();
  request.body_bytes = 10;
  EXPECT_EQ(status_of(routed(request, {10})), 0);
  EXPECT_FALSE(leaves_body_unread(request, {10}));
  EXPECT_EQ(status_of(routed(request, {9})), 413);
  EXPECT_TRUE(leaves_body_unread(request, {9}));
  request.expects_continue = true;
  EXPECT_TRUE(leaves_body_unread(request, {10}));
  request = get();
  request.chunked = true;
  EXPECT_EQ(status_of(routed(request, {10})), 413);
  EXPECT_TRUE(leaves_body_unread(request, {10}));
  request.method = Method::kOther;
  EXPECT_EQ(status_of(routed(request, {10})), 405);
}

TEST(Router, WholeFile) {
  const ResponsePlan whole = plan(get());
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body_first, 0u);
  EXPECT_EQ(whole.body_bytes, 1000u);
  EXPECT_TRUE(whole.send_body);
  EXPECT_EQ(whole.entity_tag, kTag);
  EXPECT_EQ(whole.last_modified_s, kModified);
  EXPECT_EQ(whole.content_type, "application/json");
}

TEST(Router, HeadIsTheSameWithoutBodyAndIgnoresRange) {
  Request request = get();
  request.method = Method::kHead;
  request.range = "bytes=0-1";
  const ResponsePlan head = plan(request);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body_bytes, 1000u);
  EXPECT_FALSE(head.send_body);
}

TEST(Router, Ranges) {
  Request request = get();
  request.range = "bytes=-10";
  const ResponsePlan part = plan(request);
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body_first, 990u);
  EXPECT_EQ(part.body_bytes, 10u);
  EXPECT_EQ(part.range_of_bytes, 1000u);
  request.range = "bytes=1000-";
  const ResponsePlan beyond = plan(request);
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.range_of_bytes, 1000u);
  EXPECT_EQ(beyond.cache_control, "no-store");
  EXPECT_FALSE(beyond.body_first);
  request.range = "bytes=0-1, 5-6";
  EXPECT_EQ(plan(request).status, 200);
  request.range = "bytes=0-";
  EXPECT_EQ(plan(request, {0, 0, 0}).status, 200);
}

struct Condition {
  std::string Request::*field;
  std::string value;
  int status;
};

TEST(Router, Conditions) {
  const std::string before = format_http_date(kModified - 1),
                    after = format_http_date(kModified + 1);
  const Condition cases[] = {
      {&Request::if_none_match, kTag, 304},
      {&Request::if_none_match, "W/" + kTag, 304},
      {&Request::if_none_match, "\"x\", " + kTag, 304},
      {&Request::if_none_match, "*", 304},
      {&Request::if_none_match, "\"x\"", 200},
      {&Request::if_modified_since, kDate, 304},
      {&Request::if_modified_since, after, 304},
      {&Request::if_modified_since, before, 200},
      {&Request::if_modified_since, "nonsense", 200},
      {&Request::if_match, kTag, 200},
      {&Request::if_match, "*", 200},
      {&Request::if_match, "W/" + kTag, 412},
      {&Request::if_match, "\"x\"", 412},
      {&Request::if_unmodified_since, kDate, 200},
      {&Request::if_unmodified_since, before, 412},
      {&Request::if_unmodified_since, "nonsense", 200},
  };
  for (const Condition& c : cases) {
    Request request = get();
    request.*c.field = c.value;
    EXPECT_EQ(plan(request).status, c.status) << c.value;
  }
}

TEST(Router, TagsGoBeforeDates) {
  Request request = get();
  request.if_none_match = "\"x\"";
  request.if_modified_since = kDate;
  EXPECT_EQ(plan(request).status, 200);
  request = get();
  request.if_match = kTag;
  request.if_unmodified_since = format_http_date(kModified - 1);
  EXPECT_EQ(plan(request).status, 200);
}

TEST(Router, NotModifiedGoesBeforeRange) {
  Request request = get();
  request.if_none_match = kTag;
  request.range = "bytes=5000-";
  const ResponsePlan answer = plan(request);
  EXPECT_EQ(answer.status, 304);
  EXPECT_FALSE(answer.send_body);
  EXPECT_EQ(answer.entity_tag, kTag);
  EXPECT_EQ(answer.cache_control, cache_control(FileKind::kOther));
}

TEST(Router, IfRange) {
  const Condition cases[] = {
      {&Request::if_range, kTag, 206},
      {&Request::if_range, "W/" + kTag, 200},
      {&Request::if_range, "\"x\"", 200},
      {&Request::if_range, kDate, 206},
      {&Request::if_range, format_http_date(kModified + 1), 200},
      {&Request::if_range, format_http_date(kModified - 1), 200},
  };
  for (const Condition& c : cases) {
    Request request = get();
    request.range = "bytes=1-2";
    request.*c.field = c.value;
    EXPECT_EQ(plan(request).status, c.status) << c.value;
    request.range = "bytes=5000-";
    EXPECT_EQ(plan(request).status, c.status == 206 ? 416 : 200) << c.value;
  }
  Request request = get();
  request.range = "bytes=1-2";
  request.if_range = kDate;
  EXPECT_EQ(plan_file(request, describe_file("a.json", kInfo), kModified).status, 200)
      << "within its own second";
}

TEST(Router, TimesBefore1970RoundDown) {
  EXPECT_EQ(plan(get(), {1, -1, 1}).last_modified_s, -1);
  EXPECT_EQ(plan(get(), {1, -1'000'000'000, 1}).last_modified_s, -1);
}

TEST(Router, TextMadeForARequest) {
  EXPECT_EQ(plan_text(get(), 503, "x/y").status, 503);
  EXPECT_EQ(plan_text(get(), 200, "x/y").content_type, "x/y");
  Request head = get();
  head.method = Method::kHead;
  EXPECT_FALSE(plan_text(head, 200, "x/y").send_body);
}

TEST(Router, WhatATokenOpenedIsNotForSharedCaches) {
  const FileFacts facts = describe_file("a.json", kInfo);
  EXPECT_EQ(plan_file(get(), facts, kNow, true).cache_control, "private, no-cache");
  EXPECT_EQ(plan_file(get(), facts, kNow, false).cache_control, "no-cache");
}

TEST(Router, LogsNeverHoldATokenNorWhatCouldBeOne) {
  const TokenKeys keys = *TokenKeys::parse("k " + std::string(64, 'a'), "keys");
  const std::string token = mint_token(keys.signing(), {"acme", "r", kNow + 1});
  const auto logged_of = [&](const std::string& target, Method method = Method::kGet) {
    Request request = get(target);
    request.method = method;
    LoggedTarget logged;
    route(request, {}, {&keys, {}}, kNow, logged);
    return logged;
  };
  EXPECT_EQ(logged_of("/s/" + token + "/t/acme/m/x.json?q").path, "/t/acme/m/x.json");
  EXPECT_EQ(logged_of("/s/" + token + "/t/acme/m/x.json").key_id, "k");
  for (const std::string& target :
       {"/s/" + token + "/t/other/x", "/s/" + token, "/s/" + token + "/t/a/%zz",
        "/%73/" + token + "/t/acme/x", "http://h/s/" + token + "/t/acme/x",
        "//s//" + token + "/t/acme/x", "/s%2f" + token + "%2ft/acme/x", "/healthz?" + token}) {
    EXPECT_EQ(logged_of(target).path.find(token.substr(20)), std::string::npos) << target;
  }
  EXPECT_EQ(logged_of("/s/" + token + "/t/acme/x", Method::kOther).path, "");
}

}  // namespace
}  // namespace kvcast::origin
