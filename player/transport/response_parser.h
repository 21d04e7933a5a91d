// The header lines of one HTTP response, as they arrive. Pure but for the wall clock that turns a
// Retry-After date into a duration, which comes in from outside.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "player/transport.h"

namespace kvcast::player {

// An unsigned decimal number and nothing else.
std::optional<uint64_t> parse_decimal(std::string_view text);

struct ParsedResponse {
  ResponseHeaders headers;  // but ttfb_ns and new_connection
  std::optional<std::chrono::milliseconds> retry_after;
};

// One line with or without its line end. A status line starts over: what a redirect or a 100 said
// is forgotten. Fields that do not parse are ignored. `wall_clock_s`: seconds since 1970.
void parse_header_line(std::string_view line, int64_t wall_clock_s, ParsedResponse& response);

}  // namespace kvcast::player
