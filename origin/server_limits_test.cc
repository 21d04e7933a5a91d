// Limits, pacing and the end of a server, over real sockets. Times here are limits of the server
// under test or lower bounds; no test fails for being slow.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::Client;
using testing::Response;

constexpr char kGet[] = "GET /file HTTP/1.1\r\nHost: h\r\n\r\n";

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

class ServerLimitsTest : public ::testing::Test {
 protected:
  ServerLimitsTest() {
    folder_.write("file", "hello");
    params_.root = folder_.path().string();
    params_.threads = 1;
    params_.access_log = false;
  }
  uint16_t start() {
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }

  testing::TemporaryFolder folder_;
  ServerParams params_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerLimitsTest, HeaderBytes) {
  const uint16_t port = start();
  EXPECT_EQ(testing::get(port, "/" + std::string(5000, 'a')).status, 414);
  EXPECT_EQ(testing::get(port, "/" + std::string(500'000, 'a')).status, 414);
  EXPECT_EQ(testing::get(port, "/file", "X: " + std::string(10'000, 'a') + "\r\n").status, 200);
  EXPECT_EQ(testing::get(port, "/file", "X: " + std::string(500'000, 'a') + "\r\n").status, 431);
}

TEST_F(ServerLimitsTest, RequestBodies) {
  const uint16_t port = start();
  for (const char* fields : {"Content-Length: 65537\r\n", "Transfer-Encoding: chunked\r\n"}) {
    Client client(port);
    const Response response = client.get("/file", fields);
    EXPECT_EQ(response.status, 413);
    EXPECT_EQ(response.field("connection"), "close");
    EXPECT_TRUE(client.is_closed_by_peer());
  }
  Client expecting(port);
  const Response response = expecting.get("/file", "Content-Length: 5\r\nExpect: 100-continue\r\n");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.field("connection"), "close");
}

TEST_F(ServerLimitsTest, AFinishedRefusalSurvivesBytesTheServerNeverRead) {
  const uint16_t port = start();
  for (int i = 0; i < 20; ++i) {
    Client client(port);
    client.send("POST /file HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" +
                std::string(900'000, 'x'));
    ASSERT_EQ(client.receive().status, 405);
  }
}

TEST_F(ServerLimitsTest, HeaderTime) {
  params_.limits.header_timeout_ms = 50;
  Client client(start());
  client.send("GET /file HTTP/1.1\r\nHost:");
  const Response response = client.receive();
  EXPECT_EQ(response.status, 408);
  EXPECT_EQ(response.field("connection"), "close");
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(ServerLimitsTest, ADrippingHeaderIsTimedFromItsFirstByte) {
  params_.limits.header_timeout_ms = 200;
  Client client(start());
  for (int i = 0; i < 40; ++i) {
    client.send("G");
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(client.receive().status, 408);
}

TEST_F(ServerLimitsTest, IdleTime) {
  params_.limits.idle_timeout_ms = 50;
  const uint16_t port = start();
  EXPECT_TRUE(Client(port).is_closed_by_peer());
  int status = 0;  // of a busy machine's client, which may not get to ask in time
  for (int i = 0; i < 100 && status == 0; ++i) {
    Client client(port);
    status = client.get("/file").status;
    EXPECT_TRUE(client.is_closed_by_peer()) << "and no 408 before";
  }
  EXPECT_EQ(status, 200);
}

TEST_F(ServerLimitsTest, APeerThatReadsTooSlowlyIsCutOff) {
  folder_.write("large", testing::noise(20'000'000, 3));
  params_.limits.response_grace_ms = 100;
  params_.limits.min_rate_bytes_per_s = 1'000'000'000;
  const uint16_t port = start();
  bool complete = true;  // the server of a busy machine may not get to look for so long
  for (int i = 0; i < 20 && complete; ++i) {
    Client client(port, 4096);
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(600));
    complete = client.receive().complete;
  }
  EXPECT_FALSE(complete);
}

TEST_F(ServerLimitsTest, RequestsPerConnection) {
  params_.limits.max_requests_per_connection = 3;
  Client client(start());
  EXPECT_EQ(client.get("/file").field("connection"), "");
  EXPECT_EQ(client.get("/file").field("connection"), "");
  EXPECT_EQ(client.get("/file").field("connection"), "close");
  EXPECT_TRUE(client.is_closed_by_peer());
}

TEST_F(ServerLimitsTest, ConnectionsBeyondTheLimitAreToldToComeBack) {
  params_.limits.max_connections = 2;
  const uint16_t port = start();
  {
    Client first(port), second(port);
    EXPECT_EQ(first.get("/file").status, 200);
    EXPECT_EQ(second.get("/file").status, 200);
    Client third(port);
    const Response response = third.get("/file");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.field("retry-after"), "1");
    EXPECT_EQ(response.field("connection"), "close");
    EXPECT_TRUE(third.is_closed_by_peer());
    EXPECT_EQ(first.get("/file").status, 200);
  }
  int status = 503;  // the server notices that they left when it gets to it
  for (int i = 0; i < 1000 && status == 503; ++i) {
    status = testing::get(port, "/file").status;
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_EQ(status, 200);
}

TEST_F(ServerLimitsTest, DrainLetsAResponseFinishAndClosesIdleConnections) {
  const std::string content = testing::noise(20'000'000, 4);
  folder_.write("large", content);
  const uint16_t port = start();
  Client idle(port), busy(port, 4096);
  EXPECT_EQ(idle.get("/file").status, 200);
  busy.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  busy.wait_for_answer();
  std::thread stopping([&] { server_->stop(std::chrono::seconds(60)); });
  EXPECT_TRUE(idle.is_closed_by_peer());
  EXPECT_TRUE(busy.receive().body == content);
  EXPECT_TRUE(busy.is_closed_by_peer());
  stopping.join();
  EXPECT_THROW(Client late(port), std::runtime_error);
}

TEST_F(ServerLimitsTest, DrainEndsEvenIfAPeerNeverReads) {
  folder_.write("large", testing::noise(20'000'000, 4));
  Client stuck(start(), 4096);
  stuck.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  stuck.wait_for_answer();
  const auto begin = steady_clock::now();
  server_->stop(milliseconds(100));
  EXPECT_GE(seconds_since(begin), 0.1);
  EXPECT_FALSE(stuck.receive().complete);
  server_->stop(milliseconds(100));  // nothing happens
}

TEST_F(ServerLimitsTest, StopsWithManyConnectionsOfAllKinds) {
  folder_.write("large", testing::noise(5'000'000, 4));
  params_.threads = 2;
  for (int round = 0; round < 5; ++round) {
    const uint16_t port = start();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 30; ++i) {
      clients.push_back(std::make_unique<Client>(port));
      const char* const sent[] = {"", "GET /fi", kGet, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n",
                                  "nonsense\r\n\r\n"};
      clients.back()->send(sent[i % 5]);
    }
    if (round % 2 == 0) std::this_thread::sleep_for(milliseconds(20));
    server_->stop(milliseconds(round * 20));
  }
}

TEST_F(ServerLimitsTest, PacedResponsesAreNeverFasterThanTheLink) {
  const std::string content = testing::noise(100'000, 5);
  folder_.write("paced", content);
  params_.pace = "8";  // 1 MB/s
  params_.threads = 2;
  const uint16_t port = start();
  for (const size_t clients : {1u, 8u}) {
    const auto begin = steady_clock::now();
    std::vector<std::thread> threads;
    for (size_t i = 0; i < clients; ++i) {
      threads.emplace_back([&] { EXPECT_TRUE(testing::get(port, "/paced").body == content); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_GE(seconds_since(begin), 0.1 * static_cast<double>(clients));
  }
}

TEST_F(ServerLimitsTest, AnOutageHoldsResponsesButNotHealth) {
  params_.pace = folder_.write("trace", "0 8\n0.05 0\n0.5 800\n");
  folder_.write("paced", testing::noise(100'000, 6));
  const uint16_t port = start();
  EXPECT_EQ(testing::get(port, "/healthz").status, 200);
  std::this_thread::sleep_for(milliseconds(100));  // the clock has not started
  const auto begin = steady_clock::now();
  Client client(port);
  client.send("GET /paced HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(testing::get(port, "/healthz").status, 200);
  EXPECT_TRUE(client.receive().complete);
  EXPECT_GE(seconds_since(begin), 0.5);
}

TEST_F(ServerLimitsTest, TimeSpentInAnOutageDoesNotCountAgainstThePeer) {
  params_.pace = folder_.write("trace", "0 0\n0.6 800\n");
  params_.limits.response_grace_ms = 150;
  params_.limits.min_rate_bytes_per_s = 1'000'000'000;
  EXPECT_EQ(testing::get(start(), "/file").body, "hello");
}

TEST_F(ServerLimitsTest, AServerInAnEndlessOutageStops) {
  params_.pace = "0";
  Client client(start());
  client.send(kGet);
  std::this_thread::sleep_for(milliseconds(50));
  server_->stop(milliseconds(50));
  EXPECT_EQ(client.receive().status, 0);
}

}  // namespace
}  // namespace kvcast::origin
