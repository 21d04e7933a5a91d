#include "origin/http/response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvcast::origin {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string head_of(const ResponsePlan& plan, bool http11 = true, bool keep_alive = true) {
  std::string head;
  append_head(plan, {http11, keep_alive, "DATE"}, head);
  return head;
}

TEST(Response, Whole) {
  ResponsePlan plan;
  plan.content_type = "application/json";
  plan.body_bytes = 12;
  plan.body_first = 0;
  plan.accepts_ranges = true;
  plan.entity_tag = "\"t\"";
  plan.last_modified_s = 784111777;
  plan.last_modified = "Sun, 06 Nov 1994 08:49:37 GMT";
  plan.cache_control = "no-cache";
  EXPECT_EQ(head_of(plan),
            "HTTP/1.1 200 OK\r\n"
            "Server: kvcast\r\n"
            "Date: DATE\r\n"
            "Content-Type: application/json\r\n"
            "Content-Length: 12\r\n"
            "Accept-Ranges: bytes\r\n"
            "ETag: \"t\"\r\n"
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Cache-Control: no-cache\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "Access-Control-Allow-Origin: *\r\n"
            "Access-Control-Expose-Headers: ETag, Content-Range, Content-Length, Content-Encoding, "
            "Accept-Ranges, Age, Date, Retry-After, Upload-Offset, Cache-Status, Server-Timing, "
            "CMSD-Dynamic, CMSD-Static\r\n"
            "\r\n");
}

TEST(Response, OfAFileSaysWhereItComesFromAndWhatItTook) {
  ResponsePlan plan;
  plan.is_of_file = plan.varies_by_encoding = true;
  plan.content_encoding = "gzip";
  std::string head;
  append_head(plan, {true, true, "DATE", 1.25, {1'000'000, 7400}}, head);
  EXPECT_THAT(head, HasSubstr("\r\nCache-Status: kvcast; fwd=bypass\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nServer-Timing: origin;dur=1.250\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nCMSD-Dynamic: \"kvcast\";etp=8000;rtt=8\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nVary: Accept-Encoding\r\n"));
  EXPECT_THAT(head, HasSubstr("\r\nContent-Encoding: gzip\r\n"));
  EXPECT_THAT(head_of(plan), Not(HasSubstr("CMSD-Dynamic:")));
}

TEST(Response, ContentRange) {
  ResponsePlan plan;
  plan.status = 206;
  plan.body_first = 5;
  plan.body_bytes = 10;
  plan.range_of_bytes = 100;
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nContent-Range: bytes 5-14/100\r\n"));
  plan = plain_answer(416);
  plan.range_of_bytes = 100;
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nContent-Range: bytes */100\r\n"));
}

TEST(Response, ConnectionIsNamedWhereItIsNotTheDefault) {
  EXPECT_THAT(head_of({}, true, true), Not(HasSubstr("Connection:")));
  EXPECT_THAT(head_of({}, true, false), HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(head_of({}, false, true), HasSubstr("\r\nConnection: keep-alive\r\n"));
  EXPECT_THAT(head_of({}, false, false), HasSubstr("\r\nConnection: close\r\n"));
}

TEST(Response, NoLengthWithoutContent) {
  for (const int status : {204, 304}) {
    ResponsePlan plan;
    plan.status = status;
    EXPECT_THAT(head_of(plan), Not(HasSubstr("\r\nContent-Length:")));
  }
}

TEST(Response, PlainAnswers) {
  for (const int status : {400, 404, 405, 408, 412, 413, 414, 416, 431, 500, 501, 503, 505}) {
    const ResponsePlan plan = plain_answer(status);
    const std::string head = head_of(plan);
    EXPECT_THAT(head, StartsWith("HTTP/1.1 " + std::to_string(status) + " " +
                                 std::string(reason_phrase(status))));
    EXPECT_NE(reason_phrase(status), "Unknown");
    EXPECT_THAT(head, HasSubstr("Cache-Control: no-store\r\n"));
    EXPECT_THAT(head, HasSubstr("Access-Control-Allow-Origin: *\r\n"));
    EXPECT_THAT(head, EndsWith("\r\n\r\n"));
    EXPECT_EQ(plan.body_bytes, plan.text.size());
  }
}

TEST(Response, MethodsAndRetry) {
  ResponsePlan plan = plain_answer(405);
  plan.lists_methods = true;
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nAllow: GET, HEAD, OPTIONS\r\n"));
  plan.is_preflight = true;
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n"));
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nAccess-Control-Allow-Headers: Range, "));
  plan.retry_after_s = 3;
  EXPECT_THAT(head_of(plan), HasSubstr("\r\nRetry-After: 3\r\n"));
}

}  // namespace
}  // namespace kvcast::origin
