#include "origin/log/record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace kvcast::origin {
namespace {

std::string line_of(const AccessRecord& record) {
  std::string line;
  append_access_line(record, line);
  return line;
}

TEST(AccessRecord, OneLineOfJson) {
  AccessRecord record;
  record.unix_ms = 784111777004;
  record.peer = "127.0.0.1:5";
  record.method = "GET";
  record.path = "/a";
  record.status = 200;
  record.bytes = 4096;
  record.duration_ms = 1.25;
  record.ttfb_ms = 0.5;
  EXPECT_EQ(line_of(record),
            "{\"time\":\"1994-11-06T08:49:37.004Z\",\"peer\":\"127.0.0.1:5\",\"method\":\"GET\","
            "\"path\":\"/a\","
            "\"status\":200,\"bytes\":4096,\"duration_ms\":1.250,\"ttfb_ms\":0.500}\n");
  record.range = "bytes=0-1";
  record.user_agent = "ua";
  record.cmcd = "bl=1";
  record.complete = false;
  const auto json = nlohmann::json::parse(line_of(record));
  EXPECT_EQ(json["range"], "bytes=0-1");
  EXPECT_EQ(json["user_agent"], "ua");
  EXPECT_EQ(json["cmcd"], "bl=1");
  EXPECT_EQ(json["complete"], false);
}

TEST(AccessRecord, AnyBytesMakeOneValidLine) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = static_cast<char>(random());
    AccessRecord record;
    record.path = record.user_agent = record.cmcd = record.range = record.method = text;
    const std::string line = line_of(record);
    ASSERT_EQ(line.find('\n'), line.size() - 1);
    std::string back;  // each byte came as the code point of its value
    for (const char32_t c : [&] {
           std::u32string points;
           const std::string utf8 = nlohmann::json::parse(line)["path"];
           for (size_t at = 0; at < utf8.size(); ++at) {
             const auto byte = static_cast<unsigned char>(utf8[at]);
             points += byte < 0x80
                           ? byte
                           : (byte & 31u) << 6 | (static_cast<unsigned char>(utf8[++at]) & 63u);
           }
           return points;
         }()) {
      back += static_cast<char>(c);
    }
    ASSERT_EQ(back, text);
  }
}

}  // namespace
}  // namespace kvcast::origin
