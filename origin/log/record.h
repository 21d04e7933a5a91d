// One request as one line of JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvcast::origin {

struct AccessRecord {
  int64_t unix_ms = 0;            // when the request's first byte was read
  std::string_view peer;          // "127.0.0.1:40312"
  std::string_view method, path;  // as sent; empty if the request never became one
  int status = 0;
  uint64_t bytes = 0;      // of the body, handed to the kernel
  bool complete = true;    // false: the response was cut off
  std::string_view range;  // the request's field
  double duration_ms = 0;  // first byte read to last byte handed over
  double ttfb_ms = 0;      // first byte read to first byte handed over
  std::string_view user_agent, cmcd;
  std::string_view key_id;  // of the token shown
};

// {"time":"2026-11-21T01:02:03.004Z","peer":…,"method":…,"path":…,"status":200,"bytes":4096,"duration_ms":0.120,
//  "ttfb_ms":0.080} and a newline; "range", "user_agent", "cmcd", "key" where sent,
//  "complete":false where cut off.
// Bytes that are not printable ASCII appear as \u00XX, so any request makes valid JSON.
void append_access_line(const AccessRecord& record, std::string& to);

}  // namespace kvcast::origin
