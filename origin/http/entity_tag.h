// Entity tags (RFC 9110 §8.8.3) and the two ways to compare them. Pure. A tag includes its quotes.
#pragma once

#include <string_view>

namespace kvcast::origin {

// If-None-Match: `list` is "*" or tags separated by commas; weak comparison.
bool any_tag_matches_weakly(std::string_view list, std::string_view tag);

// If-Match: strong comparison, so a weak tag in the list never matches.
bool any_tag_matches_strongly(std::string_view list, std::string_view tag);

}  // namespace kvcast::origin
