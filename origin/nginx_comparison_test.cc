// The same requests to this origin and to nginx, over the same files: status, body and the fields
// that caches and ranges live by must agree. Where the two differ on purpose, the table says how.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "origin/nginx_comparison_requests.h"
#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/testing/process.h"

namespace kvcast::origin {
namespace {

using testing::Client;
using testing::Process;
using testing::Response;

// nginx cannot pick a port by itself: one that was free a moment ago.
uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

class Nginx {
 public:
  explicit Nginx(const std::string& root) : port_(free_port()) {
    const std::string own = folder_.path().string();
    const std::string config =
        "daemon off; master_process off; pid " + own + "/pid; error_log " + own +
        "/error;\nevents {}\nhttp { access_log off; types { application/json json; } "
        "default_type application/octet-stream;\nclient_body_temp_path " +
        own + "/b; proxy_temp_path " + own + "/p; fastcgi_temp_path " + own +
        "/f; uwsgi_temp_path " + own + "/u; scgi_temp_path " + own +
        "/s;\nmax_ranges 1; if_modified_since before; keepalive_timeout 60s;\nserver { listen "
        "127.0.0.1:" +
        std::to_string(port_) + "; root " + root + "; } }\n";
    process_.emplace(std::vector<std::string>{"nginx", "-c", folder_.write("nginx.conf", config),
                                              "-e", own + "/error"});
  }

  bool answers() const {
    for (int i = 0; i < 200; ++i) {
      try {
        if (testing::get(port_, "/none").status == 404) return true;
      } catch (const std::runtime_error&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
      }
    }
    return false;
  }
  uint16_t port() const { return port_; }

 private:
  testing::TemporaryFolder folder_;
  uint16_t port_;
  std::optional<Process> process_;
};

class NginxComparison : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_on_path("nginx")) GTEST_SKIP() << "nginx is not installed";
    for (const auto& [name, text] : {std::pair<const char*, std::string>{"a.json", "{}"},
                                     {"a.bin", testing::noise(100'000, 3)},
                                     {"empty", ""},
                                     {"deep/er/b.json", "[1]"},
                                     {"with space", "x"},
                                     {"plus+name", "p"},
                                     {"caf\303\251", "c"},
                                     {"semi;colon", "s"},
                                     {"tilde~", "t"},
                                     {"~", "~"}}) {
      files_.write(name, text);
      files_.set_modified(name, 784111777);
    }
    std::filesystem::permissions(files_.path(), std::filesystem::perms(0755));
    nginx_.emplace(files_.path().string());
    ASSERT_TRUE(nginx_->answers());
    ServerParams params;
    params.root = files_.path().string();
    params.access_log = false;
    auto server = Server::start(params);
    ASSERT_TRUE(server.ok()) << server.error().message;
    server_ = std::move(*server);
  }

  testing::TemporaryFolder files_;
  std::optional<Nginx> nginx_;
  std::unique_ptr<Server> server_;
};

// Nothing but the status, where it differs on purpose.
bool is_meant(const Response& ours, const Response& theirs, int meant, const char* why) {
  EXPECT_NE(theirs.status, 0);
  EXPECT_EQ(ours.status, meant != 0 ? meant : theirs.status);
  if (meant == 0) return true;
  EXPECT_NE(theirs.status, meant) << "no longer a difference";
  std::ostringstream page;
  page << std::ifstream(KVCAST_SOURCE_DIR "/origin/nginx_comparison.md").rdbuf();
  EXPECT_NE(page.str().find("**" + std::string(why) + "**"), std::string::npos)
      << "nginx_comparison.md has no reason " << why;
  return false;
}

TEST_F(NginxComparison, SameAnswers) {
  static_assert(std::size(kComparedRequests) + std::size(kComparedHeads) >= 120);
  for (const ComparedRequest& c : kComparedRequests) {
    SCOPED_TRACE(std::string(c.method) + " " + c.target + " " + c.fields);
    const Response theirs = Client(nginx_->port()).request(c.method, c.target, c.fields);
    const Response ours = Client(server_->port()).request(c.method, c.target, c.fields);
    if (!is_meant(ours, theirs, c.ours, c.why)) continue;
    const bool has_content = ours.status == 200 || ours.status == 206;
    EXPECT_EQ(ours.field("content-range"), theirs.field("content-range"));
    if (!has_content) continue;
    for (const char* field : {"last-modified", "content-type", "content-length"}) {
      EXPECT_EQ(ours.field(field), theirs.field(field)) << field;
    }
    EXPECT_TRUE(ours.body == theirs.body);
    EXPECT_EQ(ours.field("etag").empty(), theirs.field("etag").empty());
  }
}

TEST_F(NginxComparison, SameAnswersToOddHeads) {
  for (const ComparedHead& c : kComparedHeads) {
    SCOPED_TRACE(c.text);
    const auto answer = [&](uint16_t port) {
      Client client(port);
      client.send(c.text);
      client.finish_sending();
      return client.receive();
    };
    is_meant(answer(server_->port()), answer(nginx_->port()), c.ours, c.why);
  }
}

TEST_F(NginxComparison, OwnTagsAreHonouredAlike) {
  for (const uint16_t port : {nginx_->port(), server_->port()}) {
    Client client(port);
    const std::string tag = client.get("/a.bin").field("etag");
    EXPECT_EQ(client.get("/a.bin", "If-None-Match: " + tag + "\r\n").status, 304);
    EXPECT_EQ(client.get("/a.bin", "If-None-Match: \"x\", W/" + tag + "\r\n").status, 304);
    EXPECT_EQ(client.get("/a.bin", "If-Match: " + tag + "\r\n").status, 200);
    EXPECT_EQ(client.get("/a.bin", "Range: bytes=1-2\r\nIf-Range: " + tag + "\r\n").status, 206);
    EXPECT_EQ(client.get("/a.bin", "Range: bytes=1-2\r\nIf-None-Match: " + tag + "\r\n").status,
              304);
  }
}

}  // namespace
}  // namespace kvcast::origin
