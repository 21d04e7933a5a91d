// Where text stops being UTF-8 (RFC 3629: shortest forms only, no surrogates, up to U+10FFFF).
#pragma once

#include <cstddef>
#include <string_view>

namespace kvcast::engine {

// Bytes of the longest prefix that is whole, valid UTF-8 characters.
size_t valid_utf8_bytes(std::string_view text);

// Bytes of the first character; 0 if it is not valid or cut short.
size_t utf8_character_bytes(std::string_view text);

}  // namespace kvcast::engine
