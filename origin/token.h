// Signed tokens that open one tenant's root until they expire; format: origin/token_format.md.
//
// Keys are loaded from a file or from the environment, never from a command line. All functions are
// pure or read-only; any number of threads may check tokens with one TokenKeys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::origin {

inline constexpr size_t kMaxTokenBytes = 256;
inline constexpr size_t kMaxKeyIdChars = 32;
inline constexpr size_t kMinSecretBytes = 32, kMaxSecretBytes = 128;
inline constexpr size_t kMaxTokenKeys = 64;
inline constexpr uint64_t kMaxTokenKeysBytes = 64u << 10;

struct TokenKey {
  std::string id;      // [A-Za-z0-9_-]
  std::string secret;  // bytes
};

class TokenKeys {
 public:
  // Lines `id secret-in-hex`; `#` starts a comment. The first key signs, all of them check: a new
  // key is put in front, and the old one taken out when its last token has expired. Errors name
  // `name` and the line, never a secret.
  static manifests::Result<TokenKeys> parse(std::string_view text, std::string_view name);
  static manifests::Result<TokenKeys> load(const std::string& path);

  const TokenKey& signing() const { return keys_.front(); }
  const TokenKey* find(std::string_view id) const;  // null if there is none

 private:
  std::vector<TokenKey> keys_;  // not empty
};

struct TokenClaims {
  std::string tenant;     // a valid name, see manifests/layout.h
  std::string rights;     // "r" reads, "w" writes, "rw" both
  int64_t expires_s = 0;  // since 1970; not valid from then on
};

// Throws std::invalid_argument for claims that no token can carry.
std::string mint_token(const TokenKey& key, const TokenClaims& claims);

enum class TokenVerdict { kValid, kExpired, kInvalid };
// Whether `token` grants `right` ('r' or 'w') on the tenant's root now. Expired is said only of
// tokens that were genuine. The time taken does not depend on where a forged signature goes wrong.
TokenVerdict check_token(const TokenKeys& keys, std::string_view token, std::string_view tenant,
                         char right, int64_t now_s);

// The key id a token names, for logs; "" if it names none.
std::string_view token_key_id(std::string_view token);

}  // namespace kvcast::origin
