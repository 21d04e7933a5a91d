#include "tools/engine/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace kvcast::engine {
namespace {

// The shortest form of a code point, surrogates too.
std::string shortest_form(uint32_t point) {
  if (point < 0x80) return std::string(1, static_cast<char>(point));
  const int continuations = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  const uint32_t marks[] = {0, 0xC0, 0xE0, 0xF0};
  std::string text;
  text.push_back(static_cast<char>(marks[continuations] | point >> (6 * continuations)));
  for (int left = continuations - 1; left >= 0; --left) {
    text.push_back(static_cast<char>(0x80 | (point >> (6 * left) & 0x3F)));
  }
  return text;
}

TEST(Utf8, AcceptsEveryScalarValue) {
  for (uint32_t point = 0; point <= 0x10FFFF; ++point) {
    const std::string text = shortest_form(point);
    const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
    ASSERT_EQ(utf8_character_bytes(text + "x"), surrogate ? 0 : text.size()) << point;
    if (text.size() > 1) {
      ASSERT_EQ(utf8_character_bytes(text.substr(0, text.size() - 1)), 0u) << point;
    }
  }
}

TEST(Utf8, RefusesWhatIsNoCharacter) {
  for (const std::string text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x28\xA1"}) {
    EXPECT_EQ(utf8_character_bytes(text), 0u);
    EXPECT_EQ(valid_utf8_bytes(std::string("né").append(text).append("more")), 3u);
  }
  EXPECT_EQ(utf8_character_bytes(""), 0u);
  EXPECT_EQ(valid_utf8_bytes("whole"), 5u);
}

}  // namespace
}  // namespace kvcast::engine
