// A response decided but not yet sent, and its head as bytes. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvcast::origin {

// How a read-through cache came to the file. kNone: there is no cache.
enum class CacheUse { kNone, kHit, kStaleHit, kMiss, kRevalidated };

struct ResponsePlan {
  int status = 200;
  std::string_view content_type;      // empty: no Content-Type
  std::string_view content_encoding;  // empty: none
  bool varies_by_encoding = false;
  uint64_t body_bytes = 0;  // Content-Length, also for HEAD
  std::optional<uint64_t>
      body_first;           // set: the body is these bytes of the file; else it is `text`
  std::string_view text;    // static storage
  bool is_of_file = false;  // says where it comes from, and what it took
  CacheUse cache_use = CacheUse::kNone;
  bool send_body = true;  // false: HEAD, 304
  bool accepts_ranges = false;
  std::optional<uint64_t> range_of_bytes;  // 206, 416: the whole file's size, for Content-Range
  std::string_view entity_tag;             // the file's; empty: none
  std::optional<int64_t> last_modified_s;  // since 1970
  std::string_view last_modified;          // the same as an HTTP date
  std::string_view cache_control = "no-store";
  bool lists_methods = false;                       // Allow, and for OPTIONS what CORS asks
  std::string_view methods = "GET, HEAD, OPTIONS";  // static storage
  std::optional<uint64_t> upload_offset;            // how much of an upload has arrived
  bool is_preflight = false;
  std::optional<uint32_t> retry_after_s;
};

// What the kernel knows of the way to the client, for CMSD-Dynamic (CTA-5006).
struct LinkEstimate {
  uint64_t delivery_bytes_per_s = 0;  // 0: not known
  uint32_t rtt_us = 0;                // 0: not known
};

// What a head needs beside its plan.
struct HeadContext {
  bool http11 = true;  // of the request
  bool keep_alive = true;
  std::string_view date;  // an HTTP date
  double elapsed_ms = 0;  // since the request's first byte, for Server-Timing
  LinkEstimate link = {};
};

// An answer without a file: the status, its reason as text, never stored.
ResponsePlan plain_answer(int status);

// Appends status line, fields and the empty line.
void append_head(const ResponsePlan& plan, const HeadContext& context, std::string& to);

std::string_view reason_phrase(int status);

}  // namespace kvcast::origin
