#include "manifests/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <stdexcept>

#include "manifests/object.h"
#include "manifests/testing/golden.h"
#include "manifests/text/utf8.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;

const ContextText kExample = {{72, 105, 33}, "Hi!"};

TEST(TextObject, RoundTrips) {
  std::mt19937 random(5);
  for (size_t count = 1; count < 100; ++count) {
    ContextText text;
    for (size_t i = 0; i < count; ++i) text.tokens.push_back(static_cast<uint32_t>(random()));
    text.utf8 = std::string(random() % 40, 'a') + "\xe2\x82\xac";
    const auto read = read_text_object(write_text_object(text), "x");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, text);
  }
}

TEST(TextObject, GoldenFileAndWorkedExample) {
  const auto bytes = write_text_object(kExample);
  expect_golden("text/hi.kvo", bytes);
  EXPECT_EQ(bytes_of_dump(page_example("object_format.md", "text object")), bytes);
  EXPECT_EQ(page_example("object_format.md", "name"), sha256(bytes).hex() + "\n");
  EXPECT_EQ(*read_text_object(golden("text/hi.kvo"), "hi"), kExample);
}

TEST(TextObject, WriterRefusesWhatNoReaderTakes) {
  EXPECT_THROW(write_text_object({}), std::invalid_argument);
  EXPECT_THROW(write_text_object({{1}, "\xff"}), std::invalid_argument);
}

std::string message_of(ObjectHeader header, std::span<const ObjectSection> sections) {
  const auto read = read_text_object(write_object(header, sections), "x");
  return read.ok() ? "no error" : read.error().message;
}

TEST(TextObject, OtherObjectsAreRefused) {
  ObjectHeader header;
  header.kind = ObjectKind::kText;
  header.token_count = 1;
  using Sections = std::vector<ObjectSection>;
  const auto id = as_bytes("1234");
  EXPECT_EQ(message_of(header, Sections{{32, 0, 0, id}, {33, 0, 0, {}}}), "no error");
  EXPECT_THAT(message_of(header, Sections{{32, 0, 0, id}}), HasSubstr("two sections"));
  EXPECT_THAT(message_of(header, Sections{{33, 0, 0, id}, {32, 0, 0, {}}}),
              HasSubstr("two sections"));
  EXPECT_THAT(message_of(header, Sections{{32, 0, 1, id}, {33, 0, 0, {}}}),
              HasSubstr("two sections"));
  EXPECT_THAT(message_of(header, Sections{{32, 0, 0, id.first(3)}, {33, 0, 0, {}}}),
              HasSubstr("3 bytes of token ids; expected 4 for each of 1 tokens"));
  EXPECT_THAT(message_of(header, Sections{{32, 0, 0, id}, {33, 0, 0, as_bytes("\xc0\x80")}}),
              HasSubstr("not UTF-8"));
  header.kind = ObjectKind::kExact;
  header.dtype = 1;
  EXPECT_THAT(message_of(header, Sections{{32, 0, 0, id}}), HasSubstr("object kind 2"));
  EXPECT_FALSE(read_text_object(as_bytes("short"), "x").ok());
}

TEST(Utf8, ShortestFormsOnly) {
  for (const std::string_view good :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
        "a\xe2\x82\xac"
        "b"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf", "\xed\xa0\x80",
        "\xe2\x82", "\xe2\x82\x41", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xf0\x90\x80", "\xff", "ok\xfe"}) {
    EXPECT_FALSE(is_utf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvcast::manifests
