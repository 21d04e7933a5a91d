// Policy of the origin: from a request, and what is known of the file it means, to the response.
// Pure; sockets, files and clocks are elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "origin/http/access.h"
#include "origin/http/file_facts.h"
#include "origin/http/request.h"
#include "origin/http/response.h"
#include "origin/http/stored_name.h"
#include "origin/http/upload_range.h"

namespace kvcast::origin {

struct RoutePolicy {
  uint64_t max_request_body_bytes = 65536;        // read and thrown away; 413 beyond
  bool shows_metrics = true;                      // else /metrics is not found
  bool takes_uploads = false;                     // else PUT and DELETE are 405
  uint64_t max_object_bytes = uint64_t{8} << 30;  // of an upload; 413 beyond
};

// The most hashes a lookup may bring, 32 bytes each: a million tokens; 413 beyond.
inline constexpr uint64_t kMaxLookupHashes = 65536;

// What a request asks for: a file, whose answer plan_file decides, or an answer at once; or, with a
// right to it, to put or remove what `name` says, or to look up the longest stored prefix.
struct FileRoute {
  Admission admission;  // without error
};
enum class Service { kHealth, kReady, kMetrics };
struct UploadRoute {
  StoredName name;
  std::optional<UploadRange> range;  // of an object that comes in pieces
};
struct RemovalRoute {
  StoredName name;
};
struct LookupRoute {
  LookupName name;
  bool by_token = false;
};
using Route =
    std::variant<ResponsePlan, FileRoute, Service, UploadRoute, RemovalRoute, LookupRoute>;
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

// If-Match and If-None-Match of a request that changes what lies there: `entity_tag` is what does,
// empty where nothing does. 0, or 412.
int change_precondition_status(const Request& request, std::string_view entity_tag);

// For a file that exists. Preconditions in the order of RFC 9110 §13.2.2: If-Match,
// If-Unmodified-Since, If-None-Match, If-Modified-Since, then Range under If-Range. Range counts
// for GET only. The plan views into `file`.
ResponsePlan plan_file(const Request& request, const FileFacts& file, int64_t now_s,
                       bool is_private = false);

// An answer of text made for this request: its plan but for the bytes, which are to be set. HEAD as
// ever.
ResponsePlan plan_text(const Request& request, int status, std::string_view content_type);

// plain_answer, without body for HEAD; 405 lists the methods the policy has, 503 says when to come
// back.
ResponsePlan plan_refusal(const Request& request, int status, const RoutePolicy& policy = {});

}  // namespace kvcast::origin
