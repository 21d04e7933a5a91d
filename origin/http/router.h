// Policy of the origin: from a request, and what is known of the file it means, to the response.
// Pure; sockets, files and clocks are elsewhere.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "origin/http/access.h"
#include "origin/http/file_facts.h"
#include "origin/http/request.h"
#include "origin/http/response.h"

namespace kvcast::origin {

struct RoutePolicy {
  uint64_t max_request_body_bytes = 65536;  // read and thrown away; 413 beyond
  bool shows_metrics = true;                // else /metrics is not found
};

// What a request asks for: a file, whose answer plan_file decides, or an answer at once.
struct FileRoute {
  Admission admission;  // without error
};
enum class Service { kHealth, kReady, kMetrics };
using Route = std::variant<ResponsePlan, FileRoute, Service>;
// `logged` gets what a log may say of the target: with token keys, never the token.
struct LoggedTarget {
  std::string path, key_id;
};
Route route(const Request& request, const RoutePolicy& policy, const AccessRules& access,
            int64_t now_s, LoggedTarget& logged);

// Whether the request has a body that is not read, so that its connection must end after the
// response: too long, of unknown length, or announced with Expect (nobody asks for it, so nobody
// knows whether it comes).
bool leaves_body_unread(const Request& request, const RoutePolicy& policy);

// For a file that exists. Preconditions in the order of RFC 9110 §13.2.2: If-Match,
// If-Unmodified-Since, If-None-Match, If-Modified-Since, then Range under If-Range. Range counts
// for GET only.
ResponsePlan plan_file(const Request& request, const FileFacts& file, int64_t now_s,
                       bool is_private = false);

// An answer of text made for this request: its plan but for the bytes, which are to be set. HEAD as
// ever.
ResponsePlan plan_text(const Request& request, int status, std::string_view content_type);

// plain_answer, without body for HEAD; 405 lists the methods, 503 says when to come back.
ResponsePlan plan_refusal(const Request& request, int status);

}  // namespace kvcast::origin
