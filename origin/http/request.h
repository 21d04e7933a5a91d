// What the origin wants to know of an HTTP request. Plain data, filled by RequestParser, read by
// the router.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kvcast::origin {

enum class Method { kGet, kHead, kOptions, kPut, kDelete, kPost, kOther };

struct Request {
  Method method = Method::kOther;
  std::string method_name;  // as sent
  std::string target;       // as sent: "/t/public/o/ab/ab….kvo?x"
  bool http11 = true;       // else HTTP/1.0
  bool keep_alive = true;
  uint64_t body_bytes = 0;  // by Content-Length
  bool chunked = false;     // a body in some Transfer-Encoding follows
  bool expects_continue = false;

  // Field values; empty when absent. Repeated fields are joined by ", ".
  std::optional<std::string> host;
  std::string range, if_range, if_match, if_none_match, if_modified_since, if_unmodified_since;
  std::string accept_encoding, authorization, user_agent;
  std::string content_range, content_encoding;  // of a body that is sent
  std::string cmcd;                             // the CMCD-* fields (CTA-5004)

  // Back to the defaults, keeping the strings' memory.
  void clear();
};

}  // namespace kvcast::origin
