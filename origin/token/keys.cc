#include <algorithm>
#include <optional>

#include "manifests/file.h"
#include "origin/token.h"

namespace kvcast::origin {
namespace {

using manifests::Error;
using manifests::ErrorKind;

constexpr std::string_view kBlanks = " \t\r";

bool is_key_id(std::string_view id) {
  return !id.empty() && id.size() <= kMaxKeyIdChars &&
         std::all_of(id.begin(), id.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return {};
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    int value = 0;
    for (const char c : hex.substr(i, 2)) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) return {};
      value = value * 16 + digit;
    }
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

Error bad_line(std::string_view name, size_t line, const std::string& what) {
  return {ErrorKind::kUsage, std::string(name) + ":" + std::to_string(line) + ": " + what};
}

}  // namespace

manifests::Result<TokenKeys> TokenKeys::parse(std::string_view text, std::string_view name) {
  TokenKeys keys;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    line = line.substr(0, line.find('#'));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view id = next_word(line);
    if (id.empty()) continue;
    std::optional<std::string> secret = from_hex(next_word(line));
    if (!is_key_id(id)) return bad_line(name, number, "a key's id is 1-32 of [A-Za-z0-9_-]");
    if (!secret || secret->size() < kMinSecretBytes || secret->size() > kMaxSecretBytes ||
        !next_word(line).empty()) {
      return bad_line(name, number, "want `id secret`, the secret as 64 to 256 hex digits");
    }
    if (keys.find(id) != nullptr) return bad_line(name, number, "a second key with this id");
    if (keys.keys_.size() == kMaxTokenKeys) return bad_line(name, number, "more than 64 keys");
    keys.keys_.push_back(TokenKey{std::string(id), std::move(*secret)});
  }
  if (keys.keys_.empty()) {
    return Error{ErrorKind::kUsage, std::string(name) +
                                        ": no token key in it; make one with "
                                        "`kvcast token --new-key ID`"};
  }
  return keys;
}

manifests::Result<TokenKeys> TokenKeys::load(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxTokenKeysBytes);
  if (!bytes.ok()) return bytes.error();
  return parse({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
}

const TokenKey* TokenKeys::find(std::string_view id) const {
  const auto found = std::ranges::find(keys_, id, &TokenKey::id);
  return found == keys_.end() ? nullptr : &*found;
}

}  // namespace kvcast::origin
