#include "origin/http/entity_tag.h"

#include <gtest/gtest.h>

namespace kvcast::origin {
namespace {

TEST(EntityTag, Lists) {
  struct {
    const char* list;
    bool weakly, strongly;
  } const cases[] = {
      {"*", true, true},
      {" * ", true, true},
      {"\"a\"", true, true},
      {"W/\"a\"", true, false},
      {"w/\"a\"", false, false},
      {"\"b\"", false, false},
      {"\"b\", \"a\"", true, true},
      {"\"b\",\"a\"", true, true},
      {" ,, \"b\" ,W/\"a\"", true, false},
      {"W/\"a\", \"a\"", true, true},
      {"\"a,b\"", false, false},
      {"\"x\", a", false, false},
      {"a", false, false},
      {"\"a", false, false},
      {"\"\"", false, false},
      {"", false, false},
      {"\"b\", *", false, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(any_tag_matches_weakly(c.list, "\"a\""), c.weakly) << c.list;
    EXPECT_EQ(any_tag_matches_strongly(c.list, "\"a\""), c.strongly) << c.list;
  }
  EXPECT_TRUE(any_tag_matches_weakly("\"x\", \"a,b\"", "\"a,b\""));
}

}  // namespace
}  // namespace kvcast::origin
