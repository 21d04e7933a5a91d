// The configurations of origin/deploy, by the programs they are for: their own checks, and both
// caches in front of an origin with token keys.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/testing/process.h"
#include "origin/token.h"

namespace kvcast::origin {
namespace {

using testing::Client;
using testing::Process;
using testing::Response;

const std::string kDeploy = KVCAST_SOURCE_DIR "/origin/deploy/";

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

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

class DeployTest : public ::testing::Test {
 protected:
  DeployTest() {
    objects_.write(object_, "an object");
    objects_.write("t/acme/m/x.json", "{}");
    objects_.write("t/other/m/x.json", "{}");
    ServerParams params;
    params.root = objects_.path().string();
    params.threads = 1;
    params.access_log_path = own_.path().string() + "/origin.log";
    params.token_keys = "k " + std::string(64, 'a') + "\n";
    keys_.emplace(*TokenKeys::parse(params.token_keys, "keys"));
    server_ = std::move(*Server::start(params));
  }

  // The page with its placeholders filled in.
  std::string fill_in(const std::string& name) {
    std::string text = content(kDeploy + name);
    const std::pair<std::string, std::string> values[] = {
        {"ORIGIN_PORT", std::to_string(server_->port())},
        {"CACHE_FOLDER", own_.path().string() + "/cache"},
        {"LOG_FOLDER", own_.path().string()},
        {"127.0.0.1:PORT", "127.0.0.1:" + std::to_string(port_)}};
    for (const auto& [from, to] : values) {
      for (size_t at; (at = text.find(from)) != std::string::npos;)
        text.replace(at, from.size(), to);
    }
    std::filesystem::create_directories(own_.path() / "cache");
    return own_.write(name, text);
  }
  std::string token(const std::string& tenant) const {
    return mint_token(keys_->signing(), {tenant, "r", std::time(nullptr) + 3600});
  }
  bool answers() const {
    for (int i = 0; i < 400; ++i) {
      try {
        if (testing::get(port_, "/none").status == 404) return true;
      } catch (const std::runtime_error&) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    return false;
  }
  // Its log is written in batches: when this last request shows, so does all before it.
  size_t lines_of_origin_with(const std::string& text) {
    const std::string last = "/last" + std::to_string(++asked_);
    testing::get(server_->port(), last);
    for (int i = 0; i < 2000; ++i) {
      std::ifstream log(own_.path() / "origin.log");
      size_t count = 0;
      for (std::string line; std::getline(log, line);) {
        if (line.find("\"path\":\"" + last + "\"") != line.npos) return count;
        count += line.find(text) != line.npos;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return 0;
  }
  void check_cache() {
    const std::string mine = "/s/" + token("acme"), path = "/" + object_;
    Client client(port_);
    for (int i = 0; i < 3; ++i) {
      const Response response = client.get(mine + path);
      ASSERT_EQ(response.status, 200);
      EXPECT_EQ(response.body, "an object");
    }
    EXPECT_EQ(lines_of_origin_with("\"path\":\"" + path), 1u) << "the rest came from the cache";
    // Another token, the same cached object; and no way to it without one.
    const std::string later = mint_token(keys_->signing(), {"acme", "r", std::time(nullptr) + 99});
    EXPECT_EQ(client.get("/s/" + later + path).body, "an object");
    EXPECT_EQ(lines_of_origin_with("\"path\":\"" + path), 1u);
    EXPECT_EQ(client.get(mine + path, "Range: bytes=3-5\r\n").body, "obj");
    EXPECT_EQ(client.get(mine + "/t/acme/m/x.json").body, "{}");
    std::string forged = mine;
    forged.back() = forged.back() == '0' ? '1' : '0';
    for (const std::string& prefix : {forged, "/s/" + token("other"), std::string("/s/x")}) {
      EXPECT_EQ(client.get(prefix + path).status, 403) << prefix;
    }
    for (const std::string& target :
         {path, mine + "/t/acme/../other/m/x.json", mine + "/t/acme/%2e%2e/other/m/x.json",
          mine + "/t/other/m/x.json", mine + "//t/other/m/x.json", std::string("/metrics")}) {
      EXPECT_THAT(testing::get(port_, target).status, ::testing::AnyOf(401, 403, 404)) << target;
    }
  }

  const std::string object_ = manifests::object_path("acme", manifests::sha256({}));
  testing::TemporaryFolder objects_, own_;
  std::optional<TokenKeys> keys_;
  std::unique_ptr<Server> server_;
  const uint16_t port_ = free_port();
  std::optional<Process> cache_;
  int asked_ = 0;
};

TEST_F(DeployTest, NginxChecksTokensAndKeepsThemToItself) {
  if (!testing::is_on_path("nginx")) GTEST_SKIP() << "nginx is not installed";
  const std::string own = own_.path().string(), config = fill_in("nginx.conf");
  std::string temporary = "daemon off; master_process off; pid " + own + "/pid;";
  std::filesystem::permissions(own_.path(), std::filesystem::perms(0755));
  Process check({"nginx", "-t", "-q", "-c", config, "-e", own + "/error", "-g", temporary},
                own + "/check");
  ASSERT_EQ(check.wait(), 0) << content(own + "/check");
  cache_.emplace(
      std::vector<std::string>{"nginx", "-c", config, "-e", own + "/error", "-g", temporary});
  ASSERT_TRUE(answers()) << content(own + "/error");
  check_cache();
  cache_->signal(SIGTERM);
  cache_->wait();
  const std::string log = content(own + "/access.jsonl") + content(own + "/error.log");
  EXPECT_NE(log.find("\"path\":\"/" + object_), std::string::npos) << log;
  EXPECT_EQ(log.find(token("acme").substr(0, 12)), std::string::npos) << log;
}

TEST_F(DeployTest, VarnishChecksTokens) {
  if (!testing::is_on_path("varnishd")) GTEST_SKIP() << "varnish is not installed";
  const std::string own = own_.path().string(), config = fill_in("varnish.vcl");
  Process check({"sh", "-c", "varnishd -j none -C -n " + own + "/check -f " + config + " 2>&1"});
  const std::string said = check.read_all();
  ASSERT_EQ(check.wait(), 0) << said;
  cache_.emplace(std::vector<std::string>{"varnishd", "-F", "-j", "none", "-n", own + "/varnish",
                                          "-a", "127.0.0.1:" + std::to_string(port_), "-f", config,
                                          "-s", "malloc,16m", "-T", "none"},
                 own + "/error");
  ASSERT_TRUE(answers()) << content(own + "/error");
  check_cache();
  cache_->signal(SIGTERM);
  cache_->wait();
}

TEST_F(DeployTest, SystemdTakesTheUnit) {
  if (!testing::is_on_path("systemd-analyze")) GTEST_SKIP() << "systemd-analyze is not installed";
  std::string unit = content(kDeploy + "kvcast-origin.service");
  const std::string program = "/usr/bin/kvcast-origin";
  unit.replace(unit.find(program), program.size(), KVCAST_ORIGIN);
  const std::string path = own_.write("kvcast-origin.service", unit);
  Process check({"sh", "-c", "systemd-analyze verify --man=no " + path + " 2>&1"});
  const std::string said = check.read_all();
  check.wait();
  EXPECT_THAT(said, ::testing::Not(::testing::HasSubstr("kvcast-origin.service"))) << said;
}

TEST_F(DeployTest, TheOriginTakesItsConfiguration) {
  std::string text = content(kDeploy + "origin.conf");
  Process process(
      {KVCAST_ORIGIN, "--config", own_.write("origin.conf", text), "--listen", "127.0.0.1:0"},
      own_.path().string() + "/error");
  EXPECT_EQ(process.wait(), 3);
  EXPECT_THAT(content(own_.path().string() + "/error"),
              ::testing::HasSubstr("/var/lib/kvcast/store: cannot serve this directory"))
      << "all of it was understood";
}

TEST_F(DeployTest, TheOriginTakesItsConfigurationBeforeS3) {
  const std::string text = content(kDeploy + "origin-s3.conf");
  Process process({"env", "-i", KVCAST_ORIGIN, "--config", own_.write("origin.conf", text),
                   "--listen", "127.0.0.1:0"},
                  own_.path().string() + "/error");
  EXPECT_EQ(process.wait(), 2);
  EXPECT_THAT(content(own_.path().string() + "/error"), ::testing::HasSubstr("S3 needs keys"))
      << "all of it was understood";
}

}  // namespace
}  // namespace kvcast::origin
