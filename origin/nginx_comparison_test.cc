// The same requests to this origin and to nginx, over the same files: status, body and the fields
// that caches and ranges live by must agree. Where the two differ on purpose, the table says how.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

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

struct Case {
  const char *method, *target, *fields;
  int ours = 0;  // the status on purpose, where it is not nginx's
};

const Case kCases[] = {
    {"GET", "/a.json", ""},
    {"GET", "/a.bin", ""},
    {"GET", "/empty", ""},
    {"GET", "/deep/er/b.json", ""},
    {"GET", "/with%20space", ""},
    {"GET", "/%61.json", ""},
    {"GET", "/a.json?query=1", ""},
    {"GET", "/deep//er///b.json", ""},
    {"GET", "/deep%2Fer%2Fb.json", ""},
    {"GET", "http://elsewhere/a.json", ""},
    {"GET", "/none", ""},
    {"GET", "/a.json/none", ""},
    {"GET", "/a.json/", ""},
    {"GET", "/%00", ""},
    {"GET", "/%zz", ""},
    {"GET", "/../../etc/passwd", "", 404},  // nginx: 400
    {"GET", "/deep/../a.json", "", 404},  // nginx resolves it; clients have done so before they ask
    {"GET", "/deep", "", 404},            // nginx: 301 to /deep/
    {"HEAD", "/a.bin", ""},
    {"HEAD", "/none", ""},
    {"HEAD", "/a.bin", "Range: bytes=0-9\r\n",
     200},  // Range is for GET (RFC 9110 §14.2); nginx: 206
    {"GET", "/a.bin", "Range: bytes=0-0\r\n"},
    {"GET", "/a.bin", "Range: bytes=100-199\r\n"},
    {"GET", "/a.bin", "Range: bytes=99990-\r\n"},
    {"GET", "/a.bin", "Range: bytes=99990-200000\r\n"},
    {"GET", "/a.bin", "Range: bytes=-7\r\n"},
    {"GET", "/a.bin", "Range: bytes=-200000\r\n"},
    {"GET", "/a.bin", "Range: bytes=100000-\r\n"},
    {"GET", "/a.bin", "Range: bytes=0-1,5-6\r\n"},
    {"GET", "/a.bin", "Range: tokens=0-1\r\n"},
    {"GET", "/a.bin", "Range: bytes=5-3\r\n",
     200},  // not a range, so ignored (RFC 9110 §14.1.1); nginx: 416
    {"GET", "/a.bin", "Range: bytes=x-\r\n", 200},  // the same
    {"GET", "/a.bin", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
    {"GET", "/a.bin", "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\r\n"},
    {"GET", "/a.bin", "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"},
    {"GET", "/a.bin", "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\r\n"},
    {"GET", "/a.bin", "If-Modified-Since: nonsense\r\n"},
    {"GET", "/a.bin", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n"},
    {"GET", "/a.bin", "If-None-Match: \"other\"\r\n"},
    {"GET", "/a.bin", "If-None-Match: *\r\n"},
    {"GET", "/a.bin", "If-Match: \"other\"\r\n"},
    {"GET", "/a.bin",
     "If-None-Match: \"other\"\r\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
    {"GET", "/a.bin", "Range: bytes=3-5\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n"},
    {"GET", "/a.bin", "Range: bytes=3-5\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n"},
    {"GET", "/a.bin", "Range: bytes=3-5\r\nIf-Range: \"other\"\r\n"},
    {"POST", "/a.bin", "Content-Length: 0\r\n"},
};

class NginxComparison : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::is_on_path("nginx")) GTEST_SKIP() << "nginx is not installed";
    for (const auto& [name, text] : {std::pair<const char*, std::string>{"a.json", "{}"},
                                     {"a.bin", testing::noise(100'000, 3)},
                                     {"empty", ""},
                                     {"deep/er/b.json", "[1]"},
                                     {"with space", "x"}}) {
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

TEST_F(NginxComparison, SameAnswers) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.method) + " " + c.target + " " + c.fields);
    const Response theirs = Client(nginx_->port()).request(c.method, c.target, c.fields);
    const Response ours = Client(server_->port()).request(c.method, c.target, c.fields);
    ASSERT_NE(theirs.status, 0);
    EXPECT_EQ(ours.status, c.ours != 0 ? c.ours : theirs.status);
    if (c.ours != 0) {
      EXPECT_NE(theirs.status, c.ours) << "no longer a difference";
      continue;
    }
    const bool has_content = ours.status == 200 || ours.status == 206;
    for (const char* field : {"content-range", "last-modified", "content-type", "content-length"}) {
      if (!has_content && field != std::string("content-range")) continue;
      EXPECT_EQ(ours.field(field), theirs.field(field)) << field;
    }
    if (has_content) {
      EXPECT_TRUE(ours.body == theirs.body);
      EXPECT_EQ(ours.field("etag").empty(), theirs.field("etag").empty());
    }
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
