#include "player/transport/response_parser.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

namespace kvcast::player {
namespace {

// Longer waits are refusals anyway, and the arithmetic stays in range.
constexpr uint64_t kMaxRetryAfterS = 86'400;

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool same_name(std::string_view a, std::string_view lower_case) {
  return std::equal(a.begin(), a.end(), lower_case.begin(), lower_case.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == y;
  });
}

// "HTTP/1.1 206 Partial Content"
void parse_status_line(std::string_view line, ParsedResponse& response) {
  response = {};
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || line.size() < space + 4) return;
  if (auto status = parse_decimal(line.substr(space + 1, 3))) {
    response.headers.status = static_cast<int>(*status);
    response.headers.http2 = line.starts_with("HTTP/2");
  }
}

// "bytes 5-9/10", "bytes 5-9/*", "bytes */10"
void parse_content_range(std::string_view value, ResponseHeaders& headers) {
  if (!value.starts_with("bytes ")) return;
  value = trim(value.substr(6));
  const size_t slash = value.find('/');
  if (slash == std::string_view::npos) return;
  headers.range_total = parse_decimal(value.substr(slash + 1));
  const std::string_view range = value.substr(0, slash);
  const size_t dash = range.find('-');
  if (dash != std::string_view::npos) headers.range_first = parse_decimal(range.substr(0, dash));
}

std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value,
                                                           int64_t wall_clock_s) {
  if (auto seconds = parse_decimal(value)) {
    return std::chrono::seconds(std::min(*seconds, kMaxRetryAfterS));
  }
  const int64_t date_s = curl_getdate(std::string(value).c_str(), nullptr);
  if (date_s < 0) return std::nullopt;
  const int64_t most = static_cast<int64_t>(kMaxRetryAfterS);
  return std::chrono::seconds(std::clamp<int64_t>(date_s - wall_clock_s, 0, most));
}

// "4 2": this request's id, and that of the one that fetched the object.
bool two_ids(std::string_view value) {
  const size_t space = value.find(' ');
  return space != std::string_view::npos && parse_decimal(value.substr(0, space)) &&
         parse_decimal(trim(value.substr(space)));
}

// A list of servers, the nearest last: "origin";etp=900;rtt=8, "edge";etp=115;rtt=16. Kbit/s, ms.
void parse_cmsd_dynamic(std::string_view value, ResponseHeaders& headers) {
  value = value.substr(value.rfind(',') + 1);  // npos + 1 is 0
  headers.server_rate_bytes_per_s.reset();
  headers.server_rtt_s.reset();
  for (size_t at = 0; at < value.size();) {
    const size_t end = std::min(value.find(';', at), value.size());
    const std::string_view item = trim(value.substr(at, end - at));
    if (item.starts_with("etp=")) {
      if (auto kbps = parse_decimal(item.substr(4))) {
        headers.server_rate_bytes_per_s = static_cast<double>(*kbps) * 125;
      }
    }
    if (item.starts_with("rtt=")) {
      if (auto ms = parse_decimal(item.substr(4))) {
        headers.server_rtt_s = static_cast<double>(*ms) * 1e-3;
      }
    }
    at = end + 1;
  }
}

}  // namespace

std::optional<uint64_t> parse_decimal(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

void parse_header_line(std::string_view line, int64_t wall_clock_s, ParsedResponse& response) {
  line = trim(line);
  if (line.starts_with("HTTP/")) return parse_status_line(line, response);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trim(line.substr(colon + 1));
  ResponseHeaders& headers = response.headers;
  if (same_name(name, "content-length")) headers.content_length = parse_decimal(value);
  if (same_name(name, "content-range")) parse_content_range(value, headers);
  if (same_name(name, "etag")) headers.etag = value;
  if (same_name(name, "age")) headers.age_s = parse_decimal(value);
  if (same_name(name, "cache-status")) headers.cache_status = value;
  if (same_name(name, "x-cache") && headers.cache_status.empty()) headers.cache_status = value;
  if (same_name(name, "x-varnish")) headers.varnish_hit = two_ids(value);
  if (same_name(name, "cmsd-dynamic")) parse_cmsd_dynamic(value, headers);
  if (same_name(name, "retry-after")) response.retry_after = parse_retry_after(value, wall_clock_s);
}

}  // namespace kvcast::player
