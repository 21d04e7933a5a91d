#include "origin/http/response.h"

#include <array>
#include <charconv>

#include "origin/http/thousandths.h"

namespace kvcast::origin {
namespace {

void append_number(std::string& to, uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  to.append(digits.data(), end);
}

// `name` with its colon and blank.
void append_field(std::string& to, std::string_view name, std::string_view value) {
  to += name;
  to += value;
  to += "\r\n";
}

void append_field(std::string& to, std::string_view name, uint64_t value) {
  to += name;
  append_number(to, value);
  to += "\r\n";
}

void append_content_range(const ResponsePlan& plan, std::string& to) {
  to += "Content-Range: bytes ";
  if (plan.status == 206) {
    append_number(to, *plan.body_first);
    to += '-';
    append_number(to, *plan.body_first + plan.body_bytes - 1);
  } else {
    to += '*';
  }
  to += '/';
  append_number(to, *plan.range_of_bytes);
  to += "\r\n";
}

// Of a pure origin: nothing was forwarded because there is nowhere to forward to. Anything with
// "hit" would make players take it for a cache in front of one.
// RFC 9211.
std::string_view cache_status(CacheUse use) {
  switch (use) {
    case CacheUse::kHit:
      return "kvcast; hit";
    case CacheUse::kStaleHit:
      return "kvcast; hit; detail=stale";
    case CacheUse::kMiss:
      return "kvcast; fwd=uri-miss; stored";
    case CacheUse::kRevalidated:
      return "kvcast; fwd=stale; stored";
    case CacheUse::kNone:
      break;
  }
  return "kvcast; fwd=bypass";
}

void append_server_timing(double elapsed_ms, std::string& to) {
  to += "Server-Timing: origin;dur=";
  append_thousandths(elapsed_ms, to);
  to += "\r\n";
}

// CTA-5006: etp in kbit/s by hundreds, rtt in whole milliseconds.
void append_cmsd(const LinkEstimate& link, std::string& to) {
  const uint64_t etp = link.delivery_bytes_per_s / 12'500 * 100;
  if (etp == 0 && link.rtt_us == 0) return;
  to += "CMSD-Dynamic: \"kvcast\"";
  if (etp > 0) {
    to += ";etp=";
    append_number(to, etp);
  }
  if (link.rtt_us > 0) {
    to += ";rtt=";
    append_number(to, (link.rtt_us + 999) / 1000);
  }
  to += "\r\n";
}

void append_preflight(std::string_view methods, std::string& to) {
  append_field(to, "Access-Control-Allow-Methods: ", methods);
  append_field(to, "Access-Control-Allow-Headers: ",
               "Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, If-Range, "
               "Cache-Control, Authorization, Content-Type, Content-Range, "
               "CMCD-Request, CMCD-Object, CMCD-Session, CMCD-Status");
  append_field(to, "Access-Control-Max-Age: ", "86400");
}

// Any page may read, and see what its player needs.
constexpr std::string_view kCrossOrigin =
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Expose-Headers: ETag, Content-Range, Content-Length, Content-Encoding, "
    "Accept-Ranges, Age, Date, Retry-After, Upload-Offset, Cache-Status, Server-Timing, "
    "CMSD-Dynamic, CMSD-Static\r\n";

// 204 and 304 describe no content of their own (RFC 9110 §8.6).
bool has_content_length(int status) {
  return status != 204 && status != 304;
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 422:
      return "Unprocessable Content";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
  }
  return "Unknown";
}

ResponsePlan plain_answer(int status) {
  ResponsePlan plan;
  plan.status = status;
  plan.content_type = "text/plain; charset=utf-8";
  plan.text = reason_phrase(status);
  plan.body_bytes = plan.text.size();
  return plan;
}

void append_head(const ResponsePlan& plan, const HeadContext& context, std::string& to) {
  to += "HTTP/1.1 ";
  append_number(to, static_cast<uint64_t>(plan.status));
  to += ' ';
  to += reason_phrase(plan.status);
  append_field(to, "\r\nServer: kvcast\r\nDate: ", context.date);
  if (!context.keep_alive) {
    to += "Connection: close\r\n";
  } else if (!context.http11) {
    to += "Connection: keep-alive\r\n";
  }
  if (!plan.content_type.empty()) append_field(to, "Content-Type: ", plan.content_type);
  if (!plan.content_encoding.empty()) append_field(to, "Content-Encoding: ", plan.content_encoding);
  if (plan.varies_by_encoding) to += "Vary: Accept-Encoding\r\n";
  if (has_content_length(plan.status)) append_field(to, "Content-Length: ", plan.body_bytes);
  if (plan.range_of_bytes) append_content_range(plan, to);
  if (plan.accepts_ranges) to += "Accept-Ranges: bytes\r\n";
  if (!plan.entity_tag.empty()) append_field(to, "ETag: ", plan.entity_tag);
  if (plan.last_modified_s) append_field(to, "Last-Modified: ", plan.last_modified);
  append_field(to, "Cache-Control: ", plan.cache_control);
  to += "X-Content-Type-Options: nosniff\r\n";
  if (plan.retry_after_s) append_field(to, "Retry-After: ", *plan.retry_after_s);
  if (plan.status == 401) to += "WWW-Authenticate: Bearer realm=\"kvcast\"\r\n";
  if (plan.lists_methods) append_field(to, "Allow: ", plan.methods);
  if (plan.upload_offset) append_field(to, "Upload-Offset: ", *plan.upload_offset);
  to += kCrossOrigin;
  if (plan.is_of_file) {
    append_field(to, "Timing-Allow-Origin: *\r\nCache-Status: ", cache_status(plan.cache_use));
    append_server_timing(context.elapsed_ms, to);
    append_cmsd(context.link, to);
  }
  if (plan.is_preflight) append_preflight(plan.methods, to);
  to += "\r\n";
}

}  // namespace kvcast::origin
