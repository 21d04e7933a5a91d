#include "origin/http/target.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kvcast::origin {
namespace {

TEST(Target, Paths) {
  struct {
    const char *target, *path;
    bool is_folder;
  } const cases[] = {
      {"/", "", true},
      {"/a", "a", false},
      {"/a/b.json", "a/b.json", false},
      {"/a/", "a", true},
      {"//a///b", "a/b", false},
      {"/a%20b", "a b", false},
      {"/a%2Fb%2f", "a/b", true},
      {"/%41%c3%a9", "A\xc3\xa9", false},
      {"/a+b", "a+b", false},
      {"/a?b/../c", "a", false},
      {"/a#b", "a", false},
      {"/%3f", "?", false},
      {"/a..b/c.", "a..b/c.", false},
      {"http://host/a/b?c", "a/b", false},
      {"HTTPS://host:8080/a", "a", false},
      {"http://host", "", true},
      {"http://host?x", "", true},
  };
  for (const auto& c : cases) {
    const Target target = parse_target(c.target);
    EXPECT_EQ(target.error_status, 0) << c.target;
    EXPECT_EQ(target.path, c.path) << c.target;
    EXPECT_EQ(target.is_folder, c.is_folder) << c.target;
  }
}

TEST(Target, HiddenOnesAreNotFound) {
  for (const char* target :
       {"/..", "/.", "/../etc/passwd", "/a/../b", "/a/./b", "/%2e%2e/etc/passwd", "/..%2f..%2fetc",
        "/%2e", "/a/.git/config", "/.tmp-0123", "http://host/../etc", "/a/%2E%2E%2Fb", "/...."}) {
    EXPECT_EQ(parse_target(target).error_status, 404) << target;
  }
}

TEST(Target, BadOnesAreRefused) {
  for (const char* target : {"", "*", "a", "a/b", "/%", "/%2", "/%zz", "/%0", "/a%00b", "/%00",
                             "/a\\b", "/%5c..%5c", "ftp://host/a", "?a", "host:80", "/a%2"}) {
    EXPECT_EQ(parse_target(target).error_status, 400) << target;
  }
}

TEST(Target, NoInputYieldsAWayOut) {
  std::mt19937_64 random(3);
  const std::string letters = "/./..%2e%2E%2f%5c\\a?#%00%";
  for (int i = 0; i < 200000; ++i) {
    std::string text = "/";
    for (size_t n = random() % 12; n > 0; --n) text += letters[random() % letters.size()];
    const Target target = parse_target(text);
    if (target.error_status != 0) continue;
    ASSERT_EQ(target.path.find('\0'), std::string::npos) << text;
    ASSERT_EQ(target.path.find('\\'), std::string::npos) << text;
    const std::string between = "/" + target.path + "/";
    ASSERT_EQ(between.find("/."), std::string::npos) << text;
    ASSERT_TRUE(target.path.empty() || between.find("//") == std::string::npos) << text;
  }
}

}  // namespace
}  // namespace kvcast::origin
