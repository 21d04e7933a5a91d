// A token of any bytes, checked for the tenant in front of a line feed: it may be good only if it
// is spelled as we would have spelled it.
#include <algorithm>
#include <string>
#include <string_view>

#include "origin/token.h"
#include "tests/fuzz/expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvcast::origin;
  static const TokenKeys kKeys = *TokenKeys::load(KVCAST_SOURCE_DIR "/tests/golden/token/keys.txt");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = TokenKeys::parse(text, "keys");
  if (parsed.ok()) kvcast::fuzz::expect(!parsed->signing().secret.empty(), "a key has a secret");
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t blank = line.rfind(' ');
    if (blank == std::string_view::npos) continue;
    const std::string tenant(line.substr(0, line.find(' ')));
    const std::string_view token = line.substr(blank + 1);
    if (check_token(kKeys, token, tenant, 'r', 0) != TokenVerdict::kValid) continue;
    const size_t rights = token.find('.', 2) + 1, expiry = token.find('.', rights) + 1;
    const TokenClaims claims{tenant, std::string(token.substr(rights, expiry - rights - 1)),
                             std::stoll(std::string(token.substr(expiry, 11)))};
    kvcast::fuzz::expect(mint_token(*kKeys.find(token_key_id(token)), claims) == token,
                         "a token has one spelling");
  }
  return 0;
}
