// TLS over real sockets, with OpenSSL's own client on the other side.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <chrono>
#include <thread>

#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/testing/tls.h"

namespace kvcast::origin {
namespace {

using testing::TlsClient;

constexpr char kGet[] = "GET /file HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
constexpr size_t kAll = SIZE_MAX;

std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == std::string::npos ? "" : answer.substr(end + 4);
}

class ServerTlsTest : public ::testing::Test {
 protected:
  ServerTlsTest() {
    params_.root = folder_.path().string();
    params_.threads = 1;
    params_.access_log = false;
    show_certificate("first");
    folder_.write("file", "hello");
  }
  void show_certificate(const std::string& name) {
    const testing::Certificate made = testing::make_certificate(name);
    params_.tls.certificate_path = secrets_.write("certificate.pem", made.certificate);
    params_.tls.key_path = secrets_.write("key.pem", made.key);
  }
  uint16_t start() {
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }

  testing::TemporaryFolder folder_, secrets_;
  ServerParams params_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTlsTest, ServesFilesOfAnySizeWhole) {
  const uint16_t port = start();
  for (const size_t bytes : {0u, 1u, 4096u, 16384u, 16385u, 65536u, 65537u, 9'000'000u}) {
    const std::string content = testing::noise(bytes, 7);
    folder_.write("file", content);
    TlsClient client(port);
    ASSERT_TRUE(body_of(client.exchange(kGet, kAll)) == content) << bytes;
  }
}

TEST_F(ServerTlsTest, APeerThatReadsSlowlyGetsEveryByte) {
  const std::string content = testing::noise(5'000'000, 8);
  folder_.write("file", content);
  TlsClient client(start(), {.receive_buffer_bytes = 4096});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(body_of(client.exchange(kGet, kAll)) == content);
}

TEST_F(ServerTlsTest, ManyRequestsOnOneConnection) {
  folder_.write("file", "hello");
  TlsClient client(start());
  for (int i = 0; i < 100; ++i) {
    const std::string answer = client.exchange("GET /file HTTP/1.1\r\nHost: h\r\n\r\n", 1);
    ASSERT_TRUE(answer.ends_with("\r\n\r\nhello")) << answer;
  }
}

TEST_F(ServerTlsTest, PacedBytesArriveWhole) {
  const std::string content = testing::noise(200'000, 9);
  folder_.write("file", content);
  params_.pace = "16";  // 2 MB/s
  TlsClient client(start());
  EXPECT_TRUE(body_of(client.exchange(kGet, kAll)) == content);
}

TEST_F(ServerTlsTest, SpeaksHttp11Only) {
  const uint16_t port = start();
  EXPECT_EQ(TlsClient(port, {.alpn = "\x02h2\x08http/1.1"}).alpn(), "http/1.1");
  EXPECT_EQ(TlsClient(port).alpn(), "");
  EXPECT_FALSE(TlsClient(port, {.alpn = "\x02h2"}).is_connected());
}

TEST_F(ServerTlsTest, OlderVersionsOnlyIfAllowed) {
  EXPECT_FALSE(TlsClient(start(), {.max_version = TLS1_2_VERSION}).is_connected());
  params_.tls.allow_tls12 = true;
  const uint16_t port = start();
  EXPECT_TRUE(TlsClient(port, {.max_version = TLS1_2_VERSION}).is_connected());
  EXPECT_FALSE(TlsClient(port, {.max_version = TLS1_1_VERSION}).is_connected());
}

TEST_F(ServerTlsTest, TicketsResumeSessions) {
  const uint16_t port = start();
  TlsClient first(port);
  first.exchange("GET /file HTTP/1.1\r\nHost: h\r\n\r\n", 1);  // the ticket comes with it
  EXPECT_FALSE(first.is_resumed());
  TlsClient second(port, {}, &first);
  EXPECT_TRUE(second.is_resumed());
  EXPECT_EQ(body_of(second.exchange(kGet, kAll)), "hello");
}

TEST_F(ServerTlsTest, ReloadShowsTheNewCertificateOrKeepsTheOld) {
  const uint16_t port = start();
  TlsClient before(port);
  EXPECT_EQ(before.common_name(), "first");
  show_certificate("second");
  ASSERT_TRUE(server_->reload().ok());
  EXPECT_EQ(TlsClient(port).common_name(), "second");
  EXPECT_EQ(body_of(before.exchange(kGet, kAll)), "hello") << "connections go on";
  secrets_.write("key.pem", testing::make_certificate("third").key);
  const manifests::Status failed = server_->reload();
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find("key.pem"), std::string::npos) << failed.error().message;
  EXPECT_EQ(TlsClient(port).common_name(), "second");
}

TEST_F(ServerTlsTest, HandshakesEndInTime) {
  params_.limits.handshake_timeout_ms = 100;
  const uint16_t port = start();
  testing::Client silent(port), slow(port);
  slow.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
  EXPECT_TRUE(silent.is_closed_by_peer());
  EXPECT_TRUE(slow.is_closed_by_peer());
}

TEST_F(ServerTlsTest, PlainRequestsAreNotAnswered) {
  EXPECT_NE(testing::get(start(), "/file").status, 200);
}

TEST_F(ServerTlsTest, GarbageInsteadOfRecords) {
  const uint16_t port = start();
  for (unsigned seed = 0; seed < 50; ++seed) {
    testing::Client client(port);
    client.send((seed % 2 ? "\x16\x03\x01" : "") + testing::noise(1 + seed * 40, seed));
    client.finish_sending();
    EXPECT_EQ(client.receive().status, 0);
  }
  EXPECT_EQ(body_of(TlsClient(port).exchange(kGet, kAll)), "hello");
}

TEST_F(ServerTlsTest, WhatCannotBeLoadedIsNamed) {
  const auto refused = [&](const std::string& certificate, const std::string& key,
                           const std::string& named) {
    ServerParams params = params_;
    params.tls.certificate_path = certificate;
    params.tls.key_path = key;
    const auto server = Server::start(params);
    ASSERT_FALSE(server.ok());
    EXPECT_NE(server.error().message.find(named), std::string::npos) << server.error().message;
  };
  const std::string good = params_.tls.certificate_path, key = params_.tls.key_path;
  refused("/nowhere.pem", key, "/nowhere.pem");
  refused(good, "/nowhere.key", "/nowhere.key");
  refused(good, "", "both");
  refused("", key, "both");
  refused(good, secrets_.write("other.pem", testing::make_certificate("x").key), "other.pem");
  refused(secrets_.write("bad.pem", "nonsense"), key, "bad.pem");
}

}  // namespace
}  // namespace kvcast::origin
