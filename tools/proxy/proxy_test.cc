#include "tools/proxy/proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

namespace kvcast::proxy {
namespace {

using Clock = std::chrono::steady_clock;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Sends back what it gets, one connection after another, until it is destroyed.
class EchoServer {
 public:
  EchoServer() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~EchoServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::string port() const { return std::to_string(port_); }

 private:
  void serve() {
    for (int peer; (peer = accept(listener_, nullptr, nullptr)) >= 0; close(peer)) {
      char buffer[65536];
      for (ssize_t n; (n = read(peer, buffer, sizeof(buffer))) > 0;) {
        if (send(peer, buffer, static_cast<size_t>(n), MSG_NOSIGNAL) != n) break;
      }
    }
  }

  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

struct RunningProxy {
  RunningProxy(const std::string& target_port, const PathParams& path)
      : proxy({"127.0.0.1", target_port}, path) {
    const auto listening = proxy.listen({"127.0.0.1", "0"});
    EXPECT_TRUE(listening);
    port = *listening;
    thread = std::thread([this] { proxy.run(); });
  }
  ~RunningProxy() {
    proxy.stop();
    thread.join();
  }
  int connect() const {
    const int peer = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in address = loopback(port);
    EXPECT_EQ(::connect(peer, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    return peer;
  }
  Proxy proxy;
  uint16_t port = 0;
  std::thread thread;
};

std::vector<char> echo(int peer, const std::vector<char>& bytes) {
  std::thread sender([&] {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(peer, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<size_t>(n);
    }
    shutdown(peer, SHUT_WR);
  });
  std::vector<char> back;
  char buffer[65536];
  for (ssize_t n; (n = read(peer, buffer, sizeof(buffer))) > 0;) {
    back.insert(back.end(), buffer, buffer + n);
  }
  sender.join();
  return back;
}

std::vector<char> some_bytes(size_t count) {
  std::vector<char> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  return bytes;
}

TEST(Proxy, CarriesEveryByteBothWaysAndTheEnd) {
  EchoServer server;
  const RunningProxy proxy(server.port(), {.rtt_s = 0.002, .loss = 0.01, .seed = 5});
  const auto bytes = some_bytes(6 << 20);  // more than may be queued
  const int peer = proxy.connect();
  EXPECT_EQ(echo(peer, bytes), bytes);
  close(peer);
}

TEST(Proxy, NothingComesBeforeTheHandshakeAndTheRoundTrip) {
  EchoServer server;
  const RunningProxy proxy(server.port(), {.rtt_s = 0.05});
  const int peer = proxy.connect();
  const auto begin = Clock::now();
  EXPECT_EQ(echo(peer, some_bytes(10)).size(), 10u);
  EXPECT_GE(Clock::now() - begin, std::chrono::milliseconds(100));
  close(peer);
}

TEST(Proxy, ATargetThatIsNotThereEndsTheConnection) {
  const RunningProxy proxy("1", {});
  const int peer = proxy.connect();
  char byte;
  EXPECT_LE(read(peer, &byte, 1), 0);
  close(peer);
}

TEST(Proxy, APortInUseIsAnErrorThatNamesIt) {
  Proxy first({"127.0.0.1", "1"}, {}), second({"127.0.0.1", "1"}, {});
  const auto port = first.listen({"127.0.0.1", "0"});
  ASSERT_TRUE(port);
  const auto again = second.listen({"127.0.0.1", std::to_string(*port)});
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find(std::to_string(*port)), std::string::npos);
}

}  // namespace
}  // namespace kvcast::proxy
