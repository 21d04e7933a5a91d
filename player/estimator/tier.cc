#include <algorithm>
#include <cctype>
#include <string_view>

#include "player/throughput.h"

namespace kvcast::player {
namespace {

// "hit" as a word of its own: "Hit from cloudfront", "TCP_HIT", "edge; hit; ttl=5", not "white".
bool says_hit(std::string_view text) {
  const auto letter = [&](size_t at) {
    return at < text.size() && std::isalpha(static_cast<unsigned char>(text[at])) != 0;
  };
  const auto is = [&](size_t at, char lower) {
    return at < text.size() && std::tolower(static_cast<unsigned char>(text[at])) == lower;
  };
  for (size_t i = 0; i + 3 <= text.size(); ++i) {
    const bool word = (i == 0 || !letter(i - 1)) && !letter(i + 3);
    if (word && is(i, 'h') && is(i + 1, 'i') && is(i + 2, 't')) return true;
  }
  return false;
}

}  // namespace

Tier tier_of(const ResponseHeaders& headers) {
  const bool cached = says_hit(headers.cache_status) || headers.varnish_hit ||
                      (headers.age_s && *headers.age_s > 0);
  return cached ? Tier::kCache : Tier::kOrigin;
}

}  // namespace kvcast::player
