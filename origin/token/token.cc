#include "origin/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <stdexcept>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::string_view kMessageStart = "kvcast token 1\n";
constexpr size_t kSignatureBytes = 32;
constexpr int64_t kMaxExpiry = 99'999'999'999;  // the year 5138; at most 11 digits
constexpr std::string_view kHex = "0123456789abcdef";

bool are_rights(std::string_view rights) {
  return rights == "r" || rights == "w" || rights == "rw";
}

std::string signature_of(const TokenKey& key, std::string_view rights, std::string_view expiry,
                         std::string_view tenant) {
  std::string message(kMessageStart);
  for (const std::string_view part : {std::string_view(key.id), rights, expiry}) {
    (message += part) += '\n';
  }
  ((message += "t/") += tenant) += '/';
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  HMAC(EVP_sha256(), key.secret.data(), static_cast<int>(key.secret.size()),
       reinterpret_cast<const unsigned char*>(message.data()), message.size(), mac.data(), nullptr);
  std::string hex;
  for (size_t i = 0; i < kSignatureBytes; ++i) {
    hex += kHex[mac[i] >> 4];
    hex += kHex[mac[i] & 15];
  }
  return hex;
}

struct Parts {
  std::string_view id, rights, expiry, signature;
};

// One way to write each token: fields separated by dots, decimal without leading zeros, lower case.
std::optional<Parts> split(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return {};
  std::array<std::string_view, 5> fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    const size_t end = i + 1 < fields.size() ? token.find('.') : token.size();
    if (end == std::string_view::npos) return {};
    fields[i] = token.substr(0, end);
    token.remove_prefix(std::min(end + 1, token.size()));
  }
  if (fields[0] != kVersion) return {};
  return Parts{fields[1], fields[2], fields[3], fields[4]};
}

std::optional<int64_t> parse_expiry(std::string_view digits) {
  int64_t expires_s = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), expires_s);
  if (error != std::errc{} || end != digits.data() + digits.size()) return {};
  if (expires_s < 0 || expires_s > kMaxExpiry || std::to_string(expires_s) != digits) return {};
  return expires_s;
}

}  // namespace

std::string mint_token(const TokenKey& key, const TokenClaims& claims) {
  if (!manifests::is_valid_name(claims.tenant) || !are_rights(claims.rights) ||
      claims.expires_s < 0 || claims.expires_s > kMaxExpiry) {
    throw std::invalid_argument("claims that no token can carry, tenant " + claims.tenant);
  }
  const std::string expiry = std::to_string(claims.expires_s);
  std::string token(kVersion);
  for (const std::string_view part :
       {std::string_view(key.id), std::string_view(claims.rights), std::string_view(expiry)}) {
    (token += '.') += part;
  }
  return (token += '.') += signature_of(key, claims.rights, expiry, claims.tenant);
}

TokenVerdict check_token(const TokenKeys& keys, std::string_view token, std::string_view tenant,
                         char right, int64_t now_s) {
  const std::optional<Parts> parts = split(token);
  if (!parts) return TokenVerdict::kInvalid;
  const std::optional<int64_t> expires_s = parse_expiry(parts->expiry);
  const TokenKey* const key = keys.find(parts->id);
  // A stranger's key costs what a known one does.
  const std::string signature =
      signature_of(key != nullptr ? *key : keys.signing(), parts->rights, parts->expiry, tenant);
  const bool is_genuine =
      parts->signature.size() == signature.size() &&
      CRYPTO_memcmp(parts->signature.data(), signature.data(), signature.size()) == 0;
  if (key == nullptr || !is_genuine || !expires_s || !are_rights(parts->rights) ||
      parts->rights.find(right) == std::string_view::npos) {
    return TokenVerdict::kInvalid;
  }
  return now_s < *expires_s ? TokenVerdict::kValid : TokenVerdict::kExpired;
}

std::string_view token_key_id(std::string_view token) {
  const std::optional<Parts> parts = split(token);
  return parts ? parts->id : std::string_view();
}

}  // namespace kvcast::origin
