// The Range field of a request (RFC 9110 §14.2) against a file's size. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvcast::origin {

struct RangeChoice {
  enum class Kind { kWhole, kPart, kUnsatisfiable } kind = Kind::kWhole;
  uint64_t first = 0;  // kPart: bytes [first, first + bytes) of the file, bytes > 0
  uint64_t bytes = 0;
};

// One range as "bytes=first-last", "bytes=first-" or "bytes=-suffix". Everything else (other units,
// several ranges, nonsense) is ignored, as the standard allows: the whole file. So is a range of an
// empty file, since no Content-Range could describe it. Numbers beyond 2^64 are taken as 2^64 - 1.
RangeChoice choose_range(std::string_view range, uint64_t file_bytes);

}  // namespace kvcast::origin
