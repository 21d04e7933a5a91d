#include "tools/engine/utf8.h"

#include <algorithm>

namespace kvcast::engine {
namespace {

unsigned char byte_at(std::string_view text, size_t i) {
  return static_cast<unsigned char>(text[i]);
}

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

// The range of the second byte excludes overlong forms, surrogates and what lies past U+10FFFF.
bool second_byte_fits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0:
      return second >= 0xA0;
    case 0xED:
      return second < 0xA0;
    case 0xF0:
      return second >= 0x90;
    case 0xF4:
      return second < 0x90;
    default:
      return true;
  }
}

}  // namespace

size_t utf8_character_bytes(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned char lead = byte_at(text, 0);
  if (lead < 0x80) return 1;
  const size_t bytes = lead >= 0xC2 && lead <= 0xDF   ? 2
                       : lead >= 0xE0 && lead <= 0xEF ? 3
                       : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                      : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if (!is_continuation(byte_at(text, i))) return 0;
  }
  return second_byte_fits(lead, byte_at(text, 1)) ? bytes : 0;
}

size_t valid_utf8_bytes(std::string_view text) {
  size_t valid = 0;
  while (const size_t bytes = utf8_character_bytes(text.substr(valid))) valid += bytes;
  return valid;
}

}  // namespace kvcast::engine
