#include "origin/http/range.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace kvcast::origin {
namespace {

using Kind = RangeChoice::Kind;

struct Case {
  std::string range;
  uint64_t file_bytes;
  Kind kind;
  uint64_t first, bytes;
};

TEST(Range, Table) {
  const Case cases[] = {
      {"bytes=0-0", 10, Kind::kPart, 0, 1},
      {"bytes=0-9", 10, Kind::kPart, 0, 10},
      {"bytes=0-10", 10, Kind::kPart, 0, 10},
      {"bytes=9-", 10, Kind::kPart, 9, 1},
      {"bytes=9-9", 10, Kind::kPart, 9, 1},
      {"bytes=10-", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=10-20", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=-1", 10, Kind::kPart, 9, 1},
      {"bytes=-10", 10, Kind::kPart, 0, 10},
      {"bytes=-11", 10, Kind::kPart, 0, 10},
      {"bytes=-0", 10, Kind::kUnsatisfiable, 0, 0},
      {"BYTES=2-3", 10, Kind::kPart, 2, 2},
      {" bytes = 2 - 3 ", 10, Kind::kPart, 2, 2},
      {"bytes=3-2", 10, Kind::kWhole, 0, 0},
      {"bytes=0-1,3-4", 10, Kind::kWhole, 0, 0},
      {"bytes=0-1,", 10, Kind::kWhole, 0, 0},
      {"bytes=", 10, Kind::kWhole, 0, 0},
      {"bytes=-", 10, Kind::kWhole, 0, 0},
      {"bytes=--1", 10, Kind::kWhole, 0, 0},
      {"bytes=+1-2", 10, Kind::kWhole, 0, 0},
      {"bytes=0x1-2", 10, Kind::kWhole, 0, 0},
      {"bytes=1", 10, Kind::kWhole, 0, 0},
      {"bytes 0-1", 10, Kind::kWhole, 0, 0},
      {"tokens=0-1", 10, Kind::kWhole, 0, 0},
      {"", 10, Kind::kWhole, 0, 0},
      {"=", 10, Kind::kWhole, 0, 0},
      {"bytes=0-0", 0, Kind::kWhole, 0, 0},
      {"bytes=-5", 0, Kind::kWhole, 0, 0},
      {"bytes=0-18446744073709551615", 10, Kind::kPart, 0, 10},
      {"bytes=5-99999999999999999999999", 10, Kind::kPart, 5, 5},
      {"bytes=99999999999999999999999-", 10, Kind::kUnsatisfiable, 0, 0},
      {"bytes=-99999999999999999999999", 10, Kind::kPart, 0, 10},
      {"bytes=18446744073709551614-18446744073709551614", UINT64_MAX, Kind::kPart, UINT64_MAX - 1,
       1},
  };
  for (const Case& c : cases) {
    const RangeChoice choice = choose_range(c.range, c.file_bytes);
    EXPECT_EQ(choice.kind, c.kind) << c.range;
    EXPECT_EQ(choice.first, c.first) << c.range;
    EXPECT_EQ(choice.bytes, c.bytes) << c.range;
  }
}

TEST(Range, AnyValidRangeLiesInTheFile) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bytes = random() >> (random() % 64);
    const uint64_t a = random() >> (random() % 64), b = random() >> (random() % 64);
    std::string range = "bytes=";
    if (random() % 3 > 0) range += std::to_string(a);
    range += '-';
    if (range.size() == 7 || random() % 2 == 0) range += std::to_string(b);
    const RangeChoice choice = choose_range(range, bytes);
    if (choice.kind != Kind::kPart) continue;
    ASSERT_GT(choice.bytes, 0u);
    ASSERT_LE(choice.bytes, bytes);
    ASSERT_LE(choice.first, bytes - choice.bytes);
  }
}

}  // namespace
}  // namespace kvcast::origin
