#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <random>
#include <string>

#include "player/play_history.h"

namespace kvcast::player {
namespace {

constexpr int64_t kNow = 1'800'000'000;

LinkRecord record(double rate, double ttfb) {
  return {{rate, 0.3}, {ttfb, 0.2}, 0.01};
}

TEST(PlayHistory, FindsWhatItLearned) {
  PlayHistory history;
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

TEST(PlayHistory, WhatAPlayDidNotSeeStays) {
  PlayHistory history;
  history.learn("h", record(4e6, 0.05), kNow);
  history.learn("h", {{}, {0.05, 0.2}, 0}, kNow);  // only cache hits
  EXPECT_NEAR(history.find("h", kNow)->rate_bytes_per_s.median, 4e6, 1);
  EXPECT_EQ(history.find("h", kNow)->rtt_s, 0.01);
  history.learn("nothing", {}, kNow);
  history.learn("", record(1, 1), kNow);
  EXPECT_EQ(history.size(), 1u);
}

TEST(PlayHistory, AgeMakesItVaguerAndAMonthForgetsIt) {
  PlayHistory history;
  history.learn("h", record(4e6, 0.05), kNow);
  EXPECT_NEAR(history.find("h", kNow + 86'400)->rate_bytes_per_s.log_sd, 0.6, 1e-9);
  EXPECT_EQ(PlayHistory::parse(history.to_json(), kNow + 29 * 86'400)->size(), 1u);
  EXPECT_EQ(PlayHistory::parse(history.to_json(), kNow + 31 * 86'400)->size(), 0u);
}

TEST(PlayHistory, KeepsTheNewestHosts) {
  PlayHistory history;
  for (size_t i = 0; i < PlayHistory::kMaxHosts + 10; ++i) {
    history.learn(std::to_string(i) + ".test", record(1e6, 0.01), kNow + static_cast<int64_t>(i));
  }
  EXPECT_EQ(history.size(), PlayHistory::kMaxHosts);
  EXPECT_FALSE(history.find("9.test", kNow));
  EXPECT_TRUE(history.find("10.test", kNow));
  EXPECT_LT(history.to_json().size(), PlayHistory::kMaxFileBytes);
}

TEST(PlayHistory, FindsHowFastThisMachineWas) {
  PlayHistory history;
  EXPECT_FALSE(history.find_decode("avx2", kNow));
  EXPECT_FALSE(history.find_recompute("model"));
  history.learn_decode("avx2", {0.002, 0.1}, kNow);
  history.learn_decode("avx2", {0.008, 0.1}, kNow);
  EXPECT_NEAR(history.find_decode("avx2", kNow)->median, 0.004, 1e-9) << "in the logarithm";
  EXPECT_GT(history.find_decode("avx2", kNow)->log_sd, 0.6);
  EXPECT_NEAR(history.find_decode("avx2", kNow + 86'400)->log_sd,
              2 * history.find_decode("avx2", kNow)->log_sd, 1e-9);
  history.learn_recompute("model", {0.01, 1e-4, 0}, kNow);
  history.learn_recompute("model", {0.03, 3e-4, 2e-8}, kNow);
  EXPECT_NEAR(history.find_recompute("model")->per_call_s, 0.02, 1e-12);
  EXPECT_NEAR(history.find_recompute("model")->per_token_position_s, 1e-8, 1e-15);
  const auto again = PlayHistory::parse(history.to_json(), kNow);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), history.to_json());
  EXPECT_EQ(again->size(), 2u);
  EXPECT_EQ(PlayHistory::parse(history.to_json(), kNow + 31 * 86'400)->size(), 0u);
}

TEST(PlayHistory, KeepsNothingThatIsNoSpeed) {
  PlayHistory history;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  history.learn_decode("a", {0, 0.1}, kNow);
  history.learn_decode("a", {nan, 0.1}, kNow);
  history.learn_decode("", {0.1, 0.1}, kNow);
  history.learn_recompute("a", {nan, 1, 1}, kNow);
  history.learn_recompute("a", {0, -1, 0}, kNow);
  history.learn_recompute(std::string(PlayHistory::kMaxNameBytes + 1, 'x'), {1, 1, 1}, kNow);
  EXPECT_EQ(history.size(), 0u);
  for (size_t i = 0; i < PlayHistory::kMaxKinds + 3; ++i) {
    history.learn_decode(std::to_string(i), {0.1, 0.1}, kNow + static_cast<int64_t>(i));
    history.learn_recompute(std::to_string(i), {0, 0.1, 0}, kNow + static_cast<int64_t>(i));
  }
  EXPECT_EQ(history.size(), 2 * PlayHistory::kMaxKinds);
  EXPECT_FALSE(history.find_decode("2", kNow));
  EXPECT_TRUE(history.find_recompute("3"));
  const auto odd = PlayHistory::parse(
      R"({"version":1,"hosts":{},"decodes":{"a":7,"b":{"updated_s":1800000000},
          "c":{"updated_s":1800000000,"seconds_per_million":1e300,"log_sd":-2}},
          "recomputes":{"d":{"updated_s":1800000000,"per_call_s":"x","per_token_s":-1}}})",
      kNow);
  ASSERT_TRUE(odd);
  EXPECT_FALSE(odd->find_decode("b", kNow));
  EXPECT_LE(odd->find_decode("c", kNow)->median, 3600);
  EXPECT_EQ(odd->find_decode("c", kNow)->log_sd, 0);
  EXPECT_FALSE(odd->find_recompute("d"));
  EXPECT_TRUE(PlayHistory::parse(R"({"version":1,"hosts":{},"decodes":3,"recomputes":[]})", kNow))
      << "hosts do not suffer for it";
}

TEST(PlayHistory, TextAndBackAndBadTextIsRefused) {
  PlayHistory history;
  history.learn("http://a:80", record(4e6, 0.05), kNow);
  const auto again = PlayHistory::parse(history.to_json(), kNow);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->to_json(), history.to_json());
  for (const char* bad : {"", "[]", "{}", "nonsense", R"({"version":2,"hosts":{}})",
                          R"({"version":1,"hosts":[]})", R"({"version":1})"}) {
    EXPECT_FALSE(PlayHistory::parse(bad, kNow)) << bad;
  }
  const auto odd = PlayHistory::parse(
      R"({"version":1,"hosts":{"a":7,"b":{},"c":{"updated_s":1800000000,"rate_bytes_per_s":-5,
          "rate_log_sd":"x","ttfb_s":1e300}}})",
      kNow);
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->size(), 1u);
  EXPECT_EQ(odd->find("c", kNow)->rate_bytes_per_s.median, 0);
  EXPECT_LE(odd->find("c", kNow)->ttfb_s.median, 3600);
}

TEST(PlayHistory, AnyDamageIsRefusedOrHarmless) {
  PlayHistory history;
  for (int i = 0; i < 5; ++i) history.learn(std::to_string(i) + ".test", record(1e6, 0.1), kNow);
  history.learn_decode("avx2", {0.01, 0.1}, kNow);
  history.learn_recompute("model", {0.01, 1e-4, 1e-8}, kNow);
  const std::string good = history.to_json();
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (uint64_t k = 0; k <= random() % 4; ++k) {
      bad[random() % bad.size()] = static_cast<char>(random());
    }
    if (random() % 4 == 0) bad.resize(random() % bad.size());
    if (const auto read = PlayHistory::parse(bad, kNow)) static_cast<void>(read->to_json());
  }
}

TEST(PlayHistory, IgnoresAFileItCannotUseAndSaysSo) {
  char folder[] = "/tmp/kvcast-history-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/deep/history.json";
  std::string note;
  EXPECT_EQ(read_play_history(path, kNow, note).size(), 0u);
  EXPECT_EQ(note, "") << "there being none is normal";
  PlayHistory history;
  history.learn("http://a:80", record(4e6, 0.05), kNow);
  ASSERT_TRUE(write_play_history(path, history).ok());
  EXPECT_EQ(read_play_history(path, kNow, note).size(), 1u);
  EXPECT_EQ(note, "");
  std::ofstream(path) << "{broken";
  EXPECT_EQ(read_play_history(path, kNow, note).size(), 0u);
  EXPECT_NE(note.find(path), std::string::npos);
  note.clear();
  EXPECT_EQ(read_play_history(folder, kNow, note).size(), 0u);
  EXPECT_NE(note, "");
  std::filesystem::remove_all(folder);
}

TEST(PlayHistory, LivesInTheUsersCacheFolder) {
  setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(play_history_path(), "/some/cache/kvcast/history.json");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(play_history_path(), "/home/x/.cache/kvcast/history.json");
  unsetenv("HOME");
  EXPECT_EQ(play_history_path(), "");
}

}  // namespace
}  // namespace kvcast::player
