#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include "player/link_history.h"

namespace kvcast::player {
namespace {

constexpr int64_t kNow = 1'800'000'000;

LinkRecord record(double rate, double ttfb) {
  return {{rate, 0.3}, {ttfb, 0.2}, 0.01};
}

TEST(LinkHistory, FindsWhatItLearned) {
  LinkHistory history;
  EXPECT_FALSE(history.find("http://a:80", kNow));
  history.learn("http://a:80", record(4e6, 0.05), kNow);
  const auto found = history.find("http://a:80", kNow);
  ASSERT_TRUE(found);
  EXPECT_NEAR(found->rate_bytes_per_s.median, 4e6, 1);
  EXPECT_NEAR(found->ttfb_s.median, 0.05, 1e-9);
  history.learn("http://a:80", record(1e6, 0.05), kNow);
  const auto average = history.find("http://a:80", kNow);
  EXPECT_NEAR(average->rate_bytes_per_s.median, 2e6, 1) << "in the logarithm";
  EXPECT_GT(average->rate_bytes_per_s.log_sd, 0.6) << "two plays that differ make it vaguer";
}

TEST(LinkHistory, WhatAPlayDidNotSeeStays) {
  LinkHistory history;
  history.learn("h", record(4e6, 0.05), kNow);
  history.learn("h", {{}, {0.05, 0.2}, 0}, kNow);  // only cache hits
  EXPECT_NEAR(history.find("h", kNow)->rate_bytes_per_s.median, 4e6, 1);
  EXPECT_EQ(history.find("h", kNow)->rtt_s, 0.01);
  history.learn("nothing", {}, kNow);
  history.learn("", record(1, 1), kNow);
  EXPECT_EQ(history.size(), 1u);
}

TEST(LinkHistory, AgeMakesItVaguerAndAMonthForgetsIt) {
  LinkHistory history;
  history.learn("h", record(4e6, 0.05), kNow);
  EXPECT_NEAR(history.find("h", kNow + 86'400)->rate_bytes_per_s.log_sd, 0.6, 1e-9);
  EXPECT_EQ(LinkHistory::parse(history.to_json(), kNow + 29 * 86'400)->size(), 1u);
  EXPECT_EQ(LinkHistory::parse(history.to_json(), kNow + 31 * 86'400)->size(), 0u);
}

TEST(LinkHistory, KeepsTheNewestHosts) {
  LinkHistory history;
  for (size_t i = 0; i < LinkHistory::kMaxHosts + 10; ++i) {
    history.learn(std::to_string(i) + ".test", record(1e6, 0.01), kNow + static_cast<int64_t>(i));
  }
  EXPECT_EQ(history.size(), LinkHistory::kMaxHosts);
  EXPECT_FALSE(history.find("9.test", kNow));
  EXPECT_TRUE(history.find("10.test", kNow));
  EXPECT_LT(history.to_json().size(), LinkHistory::kMaxFileBytes);
}

TEST(LinkHistory, TextAndBackAndBadTextIsRefused) {
  LinkHistory history;
  history.learn("http://a:80", record(4e6, 0.05), kNow);
  const auto again = LinkHistory::parse(history.to_json(), kNow);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), history.to_json());
  for (const char* bad : {"", "[]", "{}", "nonsense", R"({"version":2,"hosts":{}})",
                          R"({"version":1,"hosts":[]})", R"({"version":1})"}) {
    EXPECT_FALSE(LinkHistory::parse(bad, kNow)) << bad;
  }
  const auto odd = LinkHistory::parse(
      R"({"version":1,"hosts":{"a":7,"b":{},"c":{"updated_s":1800000000,"rate_bytes_per_s":-5,
          "rate_log_sd":"x","ttfb_s":1e300}}})",
      kNow);
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->size(), 1u);
  EXPECT_EQ(odd->find("c", kNow)->rate_bytes_per_s.median, 0);
  EXPECT_LE(odd->find("c", kNow)->ttfb_s.median, 3600);
}

TEST(LinkHistory, AnyDamageIsRefusedOrHarmless) {
  LinkHistory history;
  for (int i = 0; i < 5; ++i) history.learn(std::to_string(i) + ".test", record(1e6, 0.1), kNow);
  const std::string good = history.to_json();
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (uint64_t k = 0; k <= random() % 4; ++k) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    if (const auto read = LinkHistory::parse(bad, kNow)) static_cast<void>(read->to_json());
  }
}

TEST(LinkHistory, IgnoresAFileItCannotUseAndSaysSo) {
  char folder[] = "/tmp/kvcast-history-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/deep/links.json";
  std::string note;
  EXPECT_EQ(read_link_history(path, kNow, note).size(), 0u);
  EXPECT_EQ(note, "") << "there being none is normal";
  LinkHistory history;
  history.learn("http://a:80", record(4e6, 0.05), kNow);
  ASSERT_TRUE(write_link_history(path, history).ok());
  EXPECT_EQ(read_link_history(path, kNow, note).size(), 1u);
  EXPECT_EQ(note, "");
  std::ofstream(path) << "{broken";
  EXPECT_EQ(read_link_history(path, kNow, note).size(), 0u);
  EXPECT_NE(note.find(path), std::string::npos);
  note.clear();
  EXPECT_EQ(read_link_history(folder, kNow, note).size(), 0u);
  EXPECT_NE(note, "");
  std::filesystem::remove_all(folder);
}

TEST(LinkHistory, LivesInTheUsersCacheFolder) {
  setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(link_history_path(), "/some/cache/kvcast/links.json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(link_history_path(), "/home/x/.cache/kvcast/links.json");
  unsetenv("HOME");
  EXPECT_EQ(link_history_path(), "");
}

}  // namespace
}  // namespace kvcast::player
