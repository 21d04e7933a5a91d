#include "manifests/json/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kvcast::manifests {
namespace {

constexpr JsonLimits kLimits{64u << 20, 8u << 20};

std::string repeated(std::string_view element, size_t count) {
  std::string text = "[";
  for (size_t i = 0; i < count; ++i) text.append(element) += ',';
  text.back() = ']';
  return text;
}

TEST(JsonDocument, KeysRepeatInNoObject) {
  const auto twice = [](std::string_view text) {
    const auto document = parse_json(text, kLimits, "x");
    return document.ok() ? std::string("no error") : document.error().message;
  };
  EXPECT_EQ(twice(R"({"a":1,"b":{"a":1},"c":[{"a":1},{"a":1}]})"), "no error");
  EXPECT_EQ(twice(R"({"a":1,"b":2,"a":1})"), "x: key \"a\" twice in one object");
  EXPECT_EQ(twice(R"({"b":[{"a":{},"a":1}]})"), "x: key \"a\" twice in one object");
  EXPECT_THAT(twice(R"({"a":1,"a":1)"), testing::HasSubstr("x: not JSON: parse error at line 1"));
  EXPECT_THAT(twice(R"({"a":1,"a":1e999})"), testing::HasSubstr("x: not JSON: number overflow"));
}

// In time that grows by the square of the elements this would take minutes.
TEST(JsonDocument, ManyObjectsAreReadInTheirTime) {
  constexpr size_t kObjects = 400'000;
  for (const std::string_view element : {"{}", "[{}]"}) {
    const auto document = parse_json(repeated(element, kObjects), kLimits, "x");
    ASSERT_TRUE(document.ok()) << document.error().message;
    EXPECT_EQ(document->size(), kObjects);
  }
}

}  // namespace
}  // namespace kvcast::manifests
