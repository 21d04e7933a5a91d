#include "player/transport/response_parser.h"

#include <gtest/gtest.h>

#include <string>

#include "player/url.h"

namespace kvcast::player {
namespace {

constexpr int64_t kNow = 1'700'000'000;  // Tue, 14 Nov 2023 22:13:20 GMT

ParsedResponse parse(std::initializer_list<const char*> lines) {
  ParsedResponse response;
  for (const char* line : lines) parse_header_line(std::string(line) + "\r\n", kNow, response);
  return response;
}

TEST(ResponseParser, ReadsWhatDownloadsNeed) {
  const ParsedResponse response =
      parse({"HTTP/1.1 206 Partial Content", "content-LENGTH:  5 ", "Content-Range: bytes 5-9/10",
             "ETag: W/\"x\"", "Age: 3", "X-Cache: HIT"});
  EXPECT_EQ(response.headers.status, 206);
  EXPECT_EQ(response.headers.content_length, 5u);
  EXPECT_EQ(response.headers.range_first, 5u);
  EXPECT_EQ(response.headers.range_total, 10u);
  EXPECT_EQ(response.headers.etag, "W/\"x\"");
  EXPECT_EQ(response.headers.age_s, 3u);
  EXPECT_EQ(response.headers.cache_status, "HIT");
}

TEST(ResponseParser, AStatusLineForgetsTheResponseBefore) {
  const ParsedResponse response =
      parse({"HTTP/1.1 302 Found", "ETag: \"old\"", "Content-Length: 3", "HTTP/1.1 200 OK"});
  EXPECT_EQ(response.headers.status, 200);
  EXPECT_TRUE(response.headers.etag.empty());
  EXPECT_FALSE(response.headers.content_length.has_value());
}

TEST(ResponseParser, IgnoresWhatDoesNotParse) {
  for (const char* bad : {"-5", "5x", "", "0x10", "99999999999999999999", "5, 5"}) {
    const std::string length = "Content-Length: " + std::string(bad);
    const std::string age = "Age: " + std::string(bad);
    const ParsedResponse response = parse({"HTTP/1.1 200 OK", length.c_str(), age.c_str()});
    EXPECT_FALSE(response.headers.content_length.has_value()) << bad;
    EXPECT_FALSE(response.headers.age_s.has_value()) << bad;
  }
  for (const char* bad : {"Content-Range: bytes", "Content-Range: items 1-2/3",
                          "Content-Range:", "no colon", ":", "", "HTTP/1.1", "HTTP/1.1 x"}) {
    const ParsedResponse response = parse({bad});
    EXPECT_FALSE(response.headers.range_first.has_value()) << bad;
    EXPECT_EQ(response.headers.status, 0) << bad;
  }
  EXPECT_FALSE(parse({"Content-Range: bytes 5-9/*"}).headers.range_total.has_value());
  EXPECT_EQ(parse({"Content-Range: bytes */10"}).headers.range_total, 10u);
}

TEST(ResponseParser, RetryAfterIsSecondsOrADate) {
  using std::chrono::seconds;
  EXPECT_EQ(parse({"Retry-After: 120"}).retry_after, seconds(120));
  EXPECT_EQ(parse({"Retry-After: Tue, 14 Nov 2023 22:13:30 GMT"}).retry_after, seconds(10));
  EXPECT_EQ(parse({"Retry-After: Tue, 14 Nov 2023 22:13:10 GMT"}).retry_after, seconds(0));
  EXPECT_EQ(parse({"Retry-After: 18446744073709551615"}).retry_after, seconds(86'400));
  EXPECT_FALSE(parse({"Retry-After: soon"}).retry_after.has_value());
}

TEST(ResponseParser, TakesWhatCachesAndServersSayOfTheLink) {
  EXPECT_TRUE(parse({"X-Varnish: 32770 5"}).headers.varnish_hit);
  EXPECT_FALSE(parse({"X-Varnish: 32770"}).headers.varnish_hit);
  EXPECT_FALSE(parse({"X-Varnish: a b"}).headers.varnish_hit);
  const auto cmsd = parse({"CMSD-Dynamic: \"o\";etp=900;rtt=8, \"edge\"; etp=8000; rtt=16"});
  EXPECT_EQ(cmsd.headers.server_rate_bytes_per_s, 1e6);
  EXPECT_EQ(cmsd.headers.server_rtt_s, 0.016);
  EXPECT_FALSE(parse({"CMSD-Dynamic: \"o\";etp=-4;rtt=x;;=, \"e\";"}).headers.server_rtt_s);
}

TEST(Url, NamesTheHostWithItsPort) {
  EXPECT_EQ(host_of("http://h.test/a/b?c"), "http://h.test:80");
  EXPECT_EQ(host_of("https://h.test"), "https://h.test:443");
  EXPECT_EQ(host_of("http://u:p@127.0.0.1:8080/x"), "http://127.0.0.1:8080");
  EXPECT_EQ(host_of("no url"), "");
}

TEST(Url, ResolvesAgainstTheManifest) {
  const std::string manifest = "https://h.test:8443/store/t/public/m/x.json?token=1";
  EXPECT_EQ(*resolve_url(manifest, "../"), "https://h.test:8443/store/t/public/");
  EXPECT_EQ(*resolve_url(manifest, "/r/"), "https://h.test:8443/r/");
  EXPECT_EQ(*resolve_url(manifest, "http://cdn.test/a"), "http://cdn.test/a");
  EXPECT_FALSE(resolve_url(manifest, "file:///etc/passwd").ok());
  EXPECT_FALSE(resolve_url(manifest, "ftp://h.test/").ok());
  EXPECT_FALSE(resolve_url("not a url", "../").ok());
}

TEST(Url, PutsPathsBelowFolders) {
  EXPECT_EQ(*url_below("http://h.test", "t/x"), "http://h.test/t/x");
  EXPECT_EQ(*url_below("http://h.test/a/", "t/x"), "http://h.test/a/t/x");
  EXPECT_EQ(*url_below("http://h.test/a?k=v", "t/x"), "http://h.test/a/t/x?k=v");
  EXPECT_FALSE(url_below("file:///a", "t/x").ok());
  EXPECT_FALSE(url_below("", "t/x").ok());
}

}  // namespace
}  // namespace kvcast::player
