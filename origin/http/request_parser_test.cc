#include "origin/http/request_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kvcast::origin {
namespace {

struct Parsed {
  int status = 0;  // 0 and done, or the refusal; -1: wants more
  size_t taken = 0;
  Request request;
};

// Feeds `text` in pieces of at most `piece` bytes, as a socket would.
Parsed parse(const std::string& text, size_t piece = SIZE_MAX, const HeadLimits& limits = {}) {
  Parsed result;
  RequestParser parser(result.request, limits);
  std::string buffer;
  for (size_t at = 0; at < text.size() && !parser.done() && parser.error_status() == 0;) {
    const std::string part = text.substr(at, piece);
    at += part.size();
    buffer += part;
    const size_t taken = parser.put(buffer);
    buffer.erase(0, taken);
    result.taken += taken;
  }
  result.status = parser.error_status() != 0 ? parser.error_status() : parser.done() ? 0 : -1;
  return result;
}

constexpr char kFull[] =
    "GET /a?b HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nIf-Range: \"x\"\r\nIf-Match: \"m\"\r\n"
    "If-None-Match: \"a\"\r\nif-none-match: W/\"b\"\r\nIf-Modified-Since: "
    "d1\r\nIf-Unmodified-Since: d2\r\n"
    "User-Agent: ua\r\nCMCD-Request: bl=1\r\ncmcd-session: sid=2\r\nX-Other: y\r\n\r\n";

TEST(RequestParser, TakesWhatTheRouterNeeds) {
  const std::string text = std::string(kFull) + "GET /next";
  for (const size_t piece : {SIZE_MAX, size_t{1}, size_t{7}}) {
    const Parsed parsed = parse(text, piece);
    const Request& request = parsed.request;
    ASSERT_EQ(parsed.status, 0);
    EXPECT_EQ(parsed.taken, sizeof kFull - 1);
    EXPECT_EQ(request.method, Method::kGet);
    EXPECT_EQ(request.method_name, "GET");
    EXPECT_EQ(request.target, "/a?b");
    EXPECT_EQ(request.host, "h");
    EXPECT_EQ(request.range, "bytes=0-1");
    EXPECT_EQ(request.if_range, "\"x\"");
    EXPECT_EQ(request.if_match, "\"m\"");
    EXPECT_EQ(request.if_none_match, "\"a\", W/\"b\"");
    EXPECT_EQ(request.if_modified_since, "d1");
    EXPECT_EQ(request.if_unmodified_since, "d2");
    EXPECT_EQ(request.user_agent, "ua");
    EXPECT_EQ(request.cmcd, "bl=1, sid=2");
    EXPECT_TRUE(request.http11);
    EXPECT_TRUE(request.keep_alive);
  }
}

TEST(RequestParser, MethodsVersionsAndKeepAlive) {
  EXPECT_EQ(parse("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").request.method, Method::kHead);
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").request.method, Method::kOptions);
  EXPECT_EQ(parse("BREW / HTTP/1.1\r\nHost: h\r\n\r\n").request.method, Method::kOther);
  EXPECT_EQ(parse("BREW / HTTP/1.1\r\nHost: h\r\n\r\n").request.method_name, "BREW");
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").request.keep_alive);
  const Parsed old = parse("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.status, 0);
  EXPECT_FALSE(old.request.http11);
  EXPECT_FALSE(old.request.keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").request.keep_alive);
}

TEST(RequestParser, Bodies) {
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n").request.body_bytes,
            12u);
  EXPECT_EQ(parse("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n")
                .request.body_bytes,
            UINT64_MAX);
  EXPECT_TRUE(
      parse("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").request.chunked);
  EXPECT_TRUE(
      parse("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n").request.chunked);
  EXPECT_TRUE(
      parse("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n").request.expects_continue);
}

TEST(RequestParser, Refusals) {
  struct {
    const char* text;
    int status;
  } const cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nBad Field: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /\r\nHost: a\r\n\r\n", 400},
      {"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x01\x01\r\n\r\n", 400},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse(c.text).status, c.status) << c.text;
    EXPECT_EQ(parse(c.text, 1).status, c.status) << c.text;
  }
}

TEST(RequestParser, LimitsAreExactHoweverTheBytesCome) {
  HeadLimits limits;
  limits.header_bytes = 300;
  limits.target_bytes = 40;
  const auto head = [](size_t target, size_t field) {
    return "GET /" + std::string(target - 1, 'a') +
           " HTTP/1.1\r\nHost: h\r\nX: " + std::string(field, 'b') + "\r\n\r\n";
  };
  const size_t field = 300 - head(1, 0).size();
  for (const size_t piece : {SIZE_MAX, size_t{1}, size_t{13}}) {
    EXPECT_EQ(parse(head(1, field), piece, limits).status, 0);
    EXPECT_EQ(parse(head(1, field + 1), piece, limits).status, 431);
    EXPECT_EQ(parse(head(40, 0), piece, limits).status, 0);
    EXPECT_EQ(parse(head(41, 0), piece, limits).status, 414);
    EXPECT_EQ(parse(head(4000, 0), piece, limits).status, 414);
    EXPECT_EQ(parse(std::string(400, 'G'), piece, limits).status, 414);
    std::string many = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < 200; ++i) many += "A: b\r\n";
    EXPECT_EQ(parse(many, piece, limits).status, 431);
  }
  // What follows the header counts for the next request.
  EXPECT_EQ(parse(head(1, field) + std::string(1000, 'x'), SIZE_MAX, limits).status, 0);
}

TEST(RequestParser, DamagedRequestsNeverPassForAnotherLength) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20000; ++i) {
    std::string text = kFull;
    for (size_t n = 1 + random() % 4; n > 0; --n)
      text[random() % text.size()] = static_cast<char>(random());
    const Parsed whole = parse(text), bytewise = parse(text, 1);
    if (whole.status == 0) {
      ASSERT_EQ(bytewise.status, 0) << text;
      ASSERT_EQ(bytewise.taken, whole.taken) << text;
      ASSERT_EQ(bytewise.request.target, whole.request.target) << text;
    }
  }
}

}  // namespace
}  // namespace kvcast::origin
