// The server over real sockets: what the pure parts decide arrives as they decided it.
#include "origin/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "origin/http/gzip.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

using testing::Client;
using testing::Response;

std::string numbered(std::string name, size_t number) {
  return name += std::to_string(number);
}

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    params_.root = folder_.path().string();
    params_.threads = 2;
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

TEST_F(ServerTest, ServesFilesOfAnySizeWhole) {
  const uint16_t port = start();
  for (const size_t bytes : {0u, 1u, 4096u, 65537u, 9'000'000u}) {
    const std::string content = testing::noise(bytes, 7);
    folder_.write("file", content);
    const Response response = testing::get(port, "/file");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.field("content-length"), std::to_string(bytes));
    ASSERT_TRUE(response.body == content) << bytes;
  }
}

TEST_F(ServerTest, RandomRangesOnOneConnection) {
  const std::string content = testing::noise(3'000'000, 8);
  folder_.write("file", content);
  Client client(start());
  std::mt19937_64 random(9);
  for (int i = 0; i < 200; ++i) {
    const size_t first = random() % content.size(),
                 bytes =
                     1 + random() % std::min<size_t>(content.size() - first, 1u << (random() % 21));
    const std::string range = std::to_string(first) + "-" + std::to_string(first + bytes - 1);
    const Response part = client.get("/file", "Range: bytes=" + range + "\r\n");
    ASSERT_EQ(part.status, 206);
    ASSERT_EQ(part.field("content-range"), "bytes " + range + "/3000000");
    ASSERT_TRUE(part.body == content.substr(first, bytes));
  }
}

TEST_F(ServerTest, ObjectsAreForEver) {
  const manifests::Digest digest = manifests::sha256({});
  const std::string path = manifests::object_path("public", digest);
  folder_.write(path, "");
  const Response response = testing::get(start(), "/" + path);
  EXPECT_EQ(response.field("etag"), '"' + digest.hex() + '"');
  EXPECT_EQ(response.field("cache-control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(response.field("accept-ranges"), "bytes");
  EXPECT_EQ(response.field("access-control-allow-origin"), "*");
}

TEST_F(ServerTest, AReplacedManifestIsNeverServedStale) {
  Client client(start());
  std::string tag_before;
  for (size_t i = 100; i < 400; ++i) {  // all of one size, faster than a file system's clock ticks
    const std::string content = numbered("{\"turn\":", i) + "}";
    folder_.write("t/public/m/chat.json", content);
    const Response response = client.get(
        "/t/public/m/chat.json", tag_before.empty() ? "" : "If-None-Match: " + tag_before + "\r\n");
    ASSERT_EQ(response.status, 200) << i;
    ASSERT_EQ(response.body, content);
    tag_before = response.field("etag");
    ASSERT_EQ(client.get("/t/public/m/chat.json", "If-None-Match: " + tag_before + "\r\n").status,
              304);
  }
}

TEST_F(ServerTest, ManifestsComePackedToWhoTakesThem) {
  const std::string text(20'000, 'x'), path = "/t/public/m/x.json";
  folder_.write(path.substr(1), text);
  Client client(start());
  const Response whole = client.get(path), packed = client.get(path, "Accept-Encoding: gzip\r\n");
  EXPECT_EQ(whole.field("vary"), "Accept-Encoding");
  EXPECT_EQ(packed.field("vary"), "Accept-Encoding");
  EXPECT_EQ(whole.field("content-encoding"), "");
  EXPECT_EQ(packed.field("content-encoding"), "gzip");
  EXPECT_EQ(packed.body, gzip(text));
  EXPECT_NE(packed.field("etag"), whole.field("etag"));
  const std::string same = "If-None-Match: " + packed.field("etag") + "\r\n";
  EXPECT_EQ(client.get(path, "Accept-Encoding: gzip\r\n" + same).status, 304);
  EXPECT_EQ(client.get(path, same).status, 200) << "it is the other form's tag";
  const Response part = client.get(path, "Accept-Encoding: gzip\r\nRange: bytes=3-9\r\n");
  EXPECT_EQ(part.body, packed.body.substr(3, 7));
  folder_.write(path.substr(1), std::string(20'000, 'y'));
  EXPECT_EQ(client.get(path, "Accept-Encoding: gzip\r\n").body, gzip(std::string(20'000, 'y')));
}

TEST_F(ServerTest, LargeAnswersTellOfTheLink) {
  folder_.write("file", testing::noise(300'000, 1));
  folder_.write("small", "x");
  Client client(start());
  EXPECT_THAT(client.get("/file").field("cmsd-dynamic"), ::testing::StartsWith("\"kvcast\";"));
  EXPECT_EQ(client.get("/small").field("cmsd-dynamic"), "");
  EXPECT_NE(client.get("/small", "CMCD-Request: dl=1\r\n").field("cmsd-dynamic"), "");
  EXPECT_THAT(client.get("/small").field("server-timing"), ::testing::StartsWith("origin;dur="));
}

TEST_F(ServerTest, HeadOptionsAndOtherMethods) {
  folder_.write("file", "hello");
  Client client(start());
  const Response head = client.request("HEAD", "/file");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("content-length"), "5");
  const Response options =
      client.request("OPTIONS", "/file", "Origin: x\r\nAccess-Control-Request-Method: GET\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.field("access-control-allow-methods"), "GET, HEAD, OPTIONS");
  const Response post = client.request("POST", "/file", "Content-Length: 3\r\n\r\nabc");
  EXPECT_EQ(post.status, 405);
  EXPECT_EQ(post.field("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(client.get("/file").body, "hello") << "the connection still works";
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  std::string all;
  for (size_t i = 0; i < 50; ++i) {
    folder_.write(numbered("f", i), std::string(i * 100, 'x'));
    all += numbered("GET /f", i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    if (i % 7 == 0) all += "\r\n";  // stray empty lines are to be skipped
  }
  Client client(start());
  client.send(all);
  for (size_t i = 0; i < 50; ++i) ASSERT_EQ(client.receive().body.size(), i * 100);
}

TEST_F(ServerTest, BodiesOfRequestsAreSkipped) {
  folder_.write("file", "hello");
  Client client(start());
  for (const size_t bytes : {1u, 1000u, 65536u}) {
    const std::string length = numbered("Content-Length: ", bytes) + "\r\n";
    EXPECT_EQ(client.get("/file", length + "\r\n" + std::string(bytes, 'b')).body, "hello");
  }
}

TEST_F(ServerTest, ConnectionsCloseWhenAskedTo) {
  folder_.write("file", "hello");
  const uint16_t port = start();
  Client closing(port);
  EXPECT_EQ(closing.get("/file", "Connection: close\r\n").field("connection"), "close");
  EXPECT_TRUE(closing.is_closed_by_peer());
  Client old(port);
  old.send("GET /file HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.receive().body, "hello");
  EXPECT_TRUE(old.is_closed_by_peer());
  Client kept(port);
  for (int i = 0; i < 3; ++i) {
    kept.send("GET /file HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Response response = kept.receive();
    EXPECT_EQ(response.field("connection"), "keep-alive");
    EXPECT_EQ(response.body, "hello");
  }
}

TEST_F(ServerTest, AHalfClosedPeerGetsItsResponse) {
  folder_.write("file", testing::noise(3'000'000, 1));
  Client client(start());
  client.send("GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
  client.finish_sending();
  EXPECT_TRUE(client.receive().complete);
}

TEST_F(ServerTest, NothingOutsideTheRoot) {
  testing::TemporaryFolder outside;
  outside.write("secret", "secret");
  folder_.write(".hidden", "hidden");
  folder_.write("x/file", "hello");
  std::filesystem::create_symlink(outside.path(), folder_.path() / "link");
  ASSERT_EQ(::mkfifo((folder_.path() / "fifo").c_str(), 0600), 0);
  Client client(start());
  const std::string up = "../" + outside.path().filename().string() + "/secret";
  for (const std::string& target :
       {"/" + up, "/x/../" + up, "/x/%2e%2e/%2e%2e/" + up, "/..%2f" + up,
        std::string("/link/secret"), "/" + outside.path().string() + "/secret",
        std::string("/.hidden"), std::string("/fifo"), std::string("/x"), std::string("/")}) {
    const Response response = client.get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_EQ(response.field("cache-control"), "no-store");
  }
  for (const char* target : {"/x%00", "/x\\file", "/%", "/..%5c"})
    EXPECT_EQ(client.get(target).status, 400) << target;
  EXPECT_EQ(client.get("/x/file").body, "hello");
}

TEST_F(ServerTest, AFileThatShrinksCutsTheConnection) {
  const std::string path = folder_.write("file", testing::noise(30'000'000, 2));
  Client client(start(), 4096);
  client.send("GET /file HTTP/1.1\r\nHost: h\r\n\r\n");
  client.wait_for_answer();
  std::filesystem::resize_file(path, 1000);
  const Response response = client.receive();
  EXPECT_EQ(response.status, 200);
  EXPECT_FALSE(response.complete) << "padding or waiting would pass damage for data";
}

TEST_F(ServerTest, Health) {
  const Response response = testing::get(start(), "/healthz");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "ok\n");
  EXPECT_EQ(testing::get(server_->port(), "/readyz").body, "ok\n");
  std::filesystem::remove_all(folder_.path());
  EXPECT_EQ(testing::get(server_->port(), "/readyz").status, 503);
  EXPECT_EQ(testing::get(server_->port(), "/healthz").status, 200);
}

TEST_F(ServerTest, CountsWhatItServes) {
  folder_.write("file", "hello");
  params_.threads = 1;
  Client client(start());
  for (int i = 0; i < 3; ++i) client.get("/file");
  client.get("/none");
  const Response page = client.get("/metrics");
  EXPECT_THAT(page.field("content-type"), ::testing::StartsWith("text/plain; version=0.0.4"));
  EXPECT_THAT(page.body, ::testing::HasSubstr("_requests_total{status=\"200\"} 3\n"));
  EXPECT_THAT(page.body, ::testing::HasSubstr("_requests_total{status=\"404\"} 1\n"));
  EXPECT_THAT(page.body, ::testing::HasSubstr("_body_bytes_total 24\n"));
  EXPECT_THAT(page.body, ::testing::HasSubstr("kvcast_connections 1\n"));
}

TEST_F(ServerTest, OperatorsHaveADoorOfTheirOwn) {
  folder_.write("file", "hello");
  params_.operator_host = "127.0.0.1";
  params_.limits.max_connections = 1;
  const uint16_t port = start();
  Client busy(port);
  EXPECT_EQ(busy.get("/file").body, "hello");
  EXPECT_EQ(busy.get("/metrics").status, 404);
  EXPECT_EQ(testing::get(server_->operator_port(), "/metrics").status, 200) << "whatever the load";
  EXPECT_EQ(testing::get(server_->operator_port(), "/readyz").status, 200);
  EXPECT_EQ(testing::get(server_->operator_port(), "/file").status, 404);
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  std::vector<std::string> contents;
  for (unsigned i = 0; i < 16; ++i) {
    contents.push_back(testing::noise(1000 + i * 37'000, i));
    folder_.write(numbered("f", i), contents.back());
  }
  const uint16_t port = start();
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      Client client(port);
      for (unsigned i = 0; i < 40; ++i) {
        const unsigned which = (t * 7 + i) % 16;
        right += client.get(numbered("/f", which)).body == contents[which];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 16 * 40);
}

TEST_F(ServerTest, AccessLogHasOneLineForEachRequest) {
  folder_.write("file", "hello");
  params_.access_log = true;
  params_.access_log_path = (folder_.path() / "log").string();
  {
    Client client(start());
    client.get("/file?q", "Range: bytes=1-2\r\nUser-Agent: \"test\"\r\nCMCD-Request: dl=500\r\n");
    client.get("/none");
    client.request("HEAD", "/file");
    client.send("nonsense\r\n\r\n");
    client.receive();
  }
  server_.reset();
  std::ifstream log(params_.access_log_path);
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(log, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0]["method"], "GET");
  EXPECT_EQ(lines[0]["path"], "/file?q");
  EXPECT_EQ(lines[0]["status"], 206);
  EXPECT_EQ(lines[0]["bytes"], 2);
  EXPECT_EQ(lines[0]["range"], "bytes=1-2");
  EXPECT_EQ(lines[0]["user_agent"], "\"test\"");
  EXPECT_EQ(lines[0]["cmcd"], "dl=500");
  EXPECT_THAT(lines[0]["peer"].get<std::string>(), ::testing::StartsWith("127.0.0.1:"));
  EXPECT_GE(lines[0]["duration_ms"].get<double>(), lines[0]["ttfb_ms"].get<double>());
  EXPECT_EQ(lines[1]["status"], 404);
  EXPECT_EQ(lines[1]["bytes"], 9);
  EXPECT_EQ(lines[2]["bytes"], 0);
  EXPECT_EQ(lines[3]["status"], 400);
}

TEST_F(ServerTest, TwoServersDoNotShareAPortUnnoticed) {
  params_.port = start();
  const auto second = Server::start(params_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, manifests::ErrorKind::kIo);
  EXPECT_NE(second.error().message.find(std::to_string(params_.port)), std::string::npos);
  server_.reset();
  EXPECT_TRUE(Server::start(params_).ok()) << "free again at once";
}

TEST_F(ServerTest, BadParametersAreNamed) {
  const auto refused = [&](auto change, const std::string& name) {
    ServerParams params = params_;
    change(params);
    const auto server = Server::start(params);
    ASSERT_FALSE(server.ok()) << name;
    EXPECT_NE(server.error().message.find(name), std::string::npos) << server.error().message;
  };
  refused([](ServerParams& p) { p.root = "/nowhere"; }, "/nowhere");
  refused([](ServerParams& p) { p.threads = 5000; }, "threads");
  refused([](ServerParams& p) { p.pace = "none.txt"; }, "none.txt");
  refused([](ServerParams& p) { p.pace_scale = -1; }, "pace_scale");
  refused([](ServerParams& p) { p.host = "256.1.1.1.1"; }, "256.1.1.1.1");
  refused(
      [](ServerParams& p) {
        p.host = "192.0.2.1";
        p.port = 8080;
      },
      "192.0.2.1");
  refused(
      [](ServerParams& p) {
        p.access_log = true;
        p.access_log_path = "/nowhere/log";
      },
      "/nowhere/log");
  refused([](ServerParams& p) { p.limits.max_header_bytes = 10; }, "max_header_bytes");
  refused([](ServerParams& p) { p.limits.min_rate_bytes_per_s = 0; }, "min_rate");
}

}  // namespace
}  // namespace kvcast::origin
