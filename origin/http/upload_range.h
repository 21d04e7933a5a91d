// The Content-Range field of an upload's piece (origin/ingest.md). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvcast::origin {

struct UploadRange {
  uint64_t first = 0, bytes = 0;  // no bytes: a question, how much has arrived
  uint64_t total = 0;             // of the whole object; first <= total, bytes <= total - first
  bool is_question() const { return bytes == 0; }
  bool operator==(const UploadRange&) const = default;
};

// "bytes first-last/total" or "bytes */total", in digits alone; nothing for all else, numbers
// beyond 2^40 included, and for pieces that are not within the total.
std::optional<UploadRange> parse_upload_range(std::string_view field);

}  // namespace kvcast::origin
