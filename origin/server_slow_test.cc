// Clients that are slow on purpose, and nonsense in bulk: they are ended, and others are served
// meanwhile. And what a connection that only waits costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <random>
#include <thread>

#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

using std::chrono::milliseconds;
using testing::Client;

constexpr char kGet[] = "GET /file HTTP/1.1\r\nHost: h\r\n\r\n";
// What 10,000 idle connections may take: under 100 MB, so 10,000 bytes each.
constexpr double kMaxBytesPerIdleConnection = 10'000;

class ServerSlowTest : public ::testing::Test {
 protected:
  ServerSlowTest() {
    folder_.write("file", "hello");
    folder_.write("large", testing::noise(20'000'000, 1));
    params_.root = folder_.path().string();
    params_.threads = 1;
    params_.access_log = false;
    params_.limits.header_timeout_ms = 300;
    params_.limits.idle_timeout_ms = 300;
    params_.limits.response_grace_ms = 300;
    params_.limits.min_rate_bytes_per_s = 1'000'000'000;
  }
  uint16_t start() {
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }
  // A client of a busy machine may ask too late, and be ended itself.
  static bool serves(uint16_t port) {
    for (int i = 0; i < 20; ++i) {
      if (testing::get(port, "/file").body == "hello") return true;
    }
    return false;
  }
  // Each client sends its next part again and again until all are ended; others are served
  // meanwhile. True if they were ended before they had sent for ten times the limit.
  bool all_are_ended(uint16_t port, const std::string& first, const std::string& next) {
    std::vector<std::unique_ptr<Client>> slow;
    for (int i = 0; i < 50; ++i) {
      slow.push_back(std::make_unique<Client>(port, 4096));
      slow.back()->send(first);
    }
    for (int i = 0; i < 60; ++i) {
      for (const auto& client : slow) client->send(next);
      EXPECT_TRUE(serves(port));
      std::this_thread::sleep_for(milliseconds(10));
    }
    for (const auto& client : slow) {
      const testing::Response answer = client->receive();
      if (answer.status == 200 && answer.complete) return false;
      if (answer.complete && !client->is_closed_by_peer()) return false;
    }
    return true;
  }

  testing::TemporaryFolder folder_;
  ServerParams params_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerSlowTest, Headers) {
  EXPECT_TRUE(all_are_ended(start(), "GET /file HTTP/1.1\r\nHost: h\r\n", "X: y\r\n"));
}

TEST_F(ServerSlowTest, RequestLines) {
  EXPECT_TRUE(all_are_ended(start(), "GET /", "f"));
}

TEST_F(ServerSlowTest, Bodies) {
  EXPECT_TRUE(all_are_ended(
      start(), "POST /file HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n", "x"));
}

TEST_F(ServerSlowTest, Readers) {
  EXPECT_TRUE(all_are_ended(start(), "GET /large HTTP/1.1\r\nHost: h\r\n\r\n", ""));
}

TEST_F(ServerSlowTest, EmptyLinesForEver) {
  EXPECT_TRUE(all_are_ended(start(), "\r\n", "\r\n"));
}

TEST_F(ServerSlowTest, MalformedRequestsInBulk) {
  const uint16_t port = start();
  std::mt19937_64 random(11);
  const std::string letters = "GET / HTTP/1.1\r\n\r\nHost: :;%\0\xff\x80{}";
  std::string kinds;
  for (int i = 0; i < 3000; ++i) {
    std::string text = i % 3 == 0 ? kGet : "";
    for (size_t n = random() % 60; n > 0; --n) {
      const size_t at = text.empty() ? 0 : random() % text.size();
      text.insert(at, 1, letters[random() % letters.size()]);
    }
    Client client(port);
    client.send(text + "\r\n\r\n");
    client.finish_sending();
    const int status = client.receive().status;
    ASSERT_THAT(status, ::testing::AnyOf(0, 200, 400, 404, 405, 408, 413, 414, 431, 501, 505))
        << text;
  }
  EXPECT_TRUE(serves(port));
}

double resident_bytes() {
  std::ifstream status("/proc/self/statm");
  size_t all = 0, resident = 0;
  status >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// In this process, so the clients' share (a socket and a small object each) is counted too.
TEST_F(ServerSlowTest, IdleConnectionsAreCheap) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have memory of their own";
#endif
  params_.limits.idle_timeout_ms = 60'000;
  const uint16_t port = start();
  constexpr size_t kConnections = 400;
  std::vector<std::unique_ptr<Client>> clients;
  const auto add = [&] {
    clients.push_back(std::make_unique<Client>(port));
    ASSERT_EQ(clients.back()->get("/file", "User-Agent: " + std::string(60, 'u') + "\r\n").status,
              200);
  };
  for (size_t i = 0; i < 50; ++i) add();  // whatever is made once
  const double before = resident_bytes();
  for (size_t i = 0; i < kConnections; ++i) add();
  const double each = (resident_bytes() - before) / kConnections;
  EXPECT_LT(each, kMaxBytesPerIdleConnection);
}

}  // namespace
}  // namespace kvcast::origin
