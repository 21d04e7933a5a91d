// HTTP dates (RFC 9110 §5.6.7), whole seconds since 1970 UTC. Pure, and free of locales.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvcast::origin {

// "Sun, 06 Nov 1994 08:49:37 GMT"
std::string format_http_date(int64_t unix_s);

// That form, and the obsolete "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". A
// two-digit year lies in 1970-2069. The day's name is not checked against the date.
std::optional<int64_t> parse_http_date(std::string_view text);

}  // namespace kvcast::origin
