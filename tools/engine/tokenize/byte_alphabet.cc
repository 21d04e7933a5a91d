#include "tools/engine/tokenize/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "tools/engine/utf8.h"

namespace kvcast::engine {
namespace {

constexpr uint32_t kAlphabetEnd = 0x144;  // U+0100 + the 68 bytes that do not print

constexpr bool prints(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// [code point] -> byte, or -1.
constexpr std::array<int, kAlphabetEnd> make_bytes() {
  std::array<int, kAlphabetEnd> bytes{};
  for (int& byte : bytes) byte = -1;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    bytes[prints(byte) ? byte : next++] = static_cast<int>(byte);
  }
  return bytes;
}

constexpr auto kBytes = make_bytes();

}  // namespace

std::optional<std::string> bytes_of_entry(std::string_view entry) {
  std::string bytes;
  while (!entry.empty()) {
    const size_t length = utf8_character_bytes(entry);
    if (length == 0 || length > 2) return std::nullopt;
    const uint32_t lead = static_cast<unsigned char>(entry[0]);
    const uint32_t point =
        length == 1 ? lead : ((lead & 0x1F) << 6) | (static_cast<unsigned char>(entry[1]) & 0x3F);
    if (point >= kAlphabetEnd || kBytes[point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kBytes[point]));
    entry.remove_prefix(length);
  }
  return bytes;
}

}  // namespace kvcast::engine
