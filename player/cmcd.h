// What a player tells servers and CDNs about a request: Common Media Client Data, CTA-5004, as
// request headers, so that no cache key changes. A server can serve the most urgent first, and logs
// can be joined by play. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvcast::player {

// Of a play. Nothing is sent while `session_id` is empty.
struct CmcdSession {
  std::string session_id;  // UUID
  std::string content_id;  // at most 64 characters are sent
};

// Of a request.
struct CmcdRequest {
  enum class Type : char { kManifest = 'm', kInit = 'i', kOther = 'o' } type = Type::kOther;
  std::optional<uint32_t> level;      // as "kvcast-level": planes have no key of the standard's
  std::optional<double> deadline_ms;  // from now until it is needed; negative: late already
  double rate_bytes_per_s = 0;        // measured; 0: not known
  bool urgent = false;
};

// "CMCD-Object: ...", "CMCD-Request: ...", "CMCD-Session: ..." and, when late, "CMCD-Status: bs".
// Keys in alphabetical order; times and rates rounded to hundreds, as the standard wants.
std::vector<std::string> cmcd_headers(const CmcdSession& session, const CmcdRequest& request);

}  // namespace kvcast::player
