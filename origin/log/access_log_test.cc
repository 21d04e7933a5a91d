#include "origin/log/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(AccessLog, WritesEveryLineOfEveryThreadWhole) {
  testing::TemporaryFolder folder;
  AccessLogParams params;
  params.path = folder.write("log", "before\n");
  {
    auto log = AccessLog::open(params);
    ASSERT_TRUE(log.ok());
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5000; ++i)
          (*log)->add(std::to_string(t) + " " + std::to_string(i) + "\n");
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  std::istringstream lines(content(params.path));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "before");
  int next[4] = {};
  for (int t, i; lines >> t >> i;) {
    ASSERT_TRUE(t >= 0 && t < 4);
    ASSERT_EQ(i, next[t]++);
  }
  for (const int count : next) EXPECT_EQ(count, 5000);
}

TEST(AccessLog, AReaderThatDoesNotReadCostsLinesNotTime) {
  testing::TemporaryFolder folder;
  AccessLogParams params;
  params.path = (folder.path() / "pipe").string();
  params.max_buffered_bytes = 100'000;
  params.final_flush_ms = 20;
  ASSERT_EQ(::mkfifo(params.path.c_str(), 0600), 0);
  const Descriptor reader(::open(params.path.c_str(), O_RDONLY | O_NONBLOCK));
  const std::string line = std::string(999, 'x') + "\n";
  {
    auto log = AccessLog::open(params);
    ASSERT_TRUE(log.ok());
    for (int i = 0; i < 2000; ++i) (*log)->add(line);  // 2 MB into a 64 KB pipe and a 100 KB buffer
  }
  std::string read(1u << 20, '\0');
  const ssize_t got = ::read(reader.get(), read.data(), read.size());
  ASSERT_GT(got, 0);
  EXPECT_LE(got, 200'000);
}

TEST(AccessLog, SaysHowManyLinesItDropped) {
  testing::TemporaryFolder folder;
  AccessLogParams params;
  params.path = (folder.path() / "log").string();
  params.max_buffered_bytes = 100;
  params.flush_interval_ms = 60'000;
  {
    auto log = AccessLog::open(params);
    ASSERT_TRUE(log.ok());
    (*log)->add(std::string(39, 'a') + "\n");
    for (int i = 0; i < 3; ++i) (*log)->add(std::string(99, 'b') + "\n");
  }
  EXPECT_EQ(content(params.path), std::string(39, 'a') + "\n{\"dropped_lines\":3}\n");
}

TEST(AccessLog, AFileThatCannotBeOpenedIsNamed) {
  AccessLogParams params;
  params.path = "/nowhere/at/all";
  const auto log = AccessLog::open(params);
  ASSERT_FALSE(log.ok());
  EXPECT_NE(log.error().message.find("/nowhere/at/all"), std::string::npos);
}

}  // namespace
}  // namespace kvcast::origin
