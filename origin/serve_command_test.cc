// The executable from outside: its flags, its first line, its signals, and curl as a client that is
// not ours.
#include "origin/serve_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/testing/process.h"
#include "origin/token.h"

namespace kvcast::origin {
namespace {

using testing::Process;

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

TEST(ParseListen, HostsAndPorts) {
  struct {
    const char *listen, *host;
    int port;
  } const cases[] = {
      {"127.0.0.1:80", "127.0.0.1", 80},   {"localhost:0", "localhost", 0},
      {"[::1]:8080", "::1", 8080},         {"8080", "127.0.0.1", 8080},
      {"0.0.0.0:65535", "0.0.0.0", 65535},
  };
  for (const auto& c : cases) {
    ServerParams params;
    ASSERT_TRUE(parse_listen(c.listen, params.host, params.port).ok()) << c.listen;
    EXPECT_EQ(params.host, c.host);
    EXPECT_EQ(params.port, c.port);
  }
  for (const char* listen : {"", "host:", ":80", "host:x", "host:80x", "host:65536", "host:-1",
                             "::1:80", "[]:80", "host"}) {
    ServerParams params;
    const manifests::Status status = parse_listen(listen, params.host, params.port);
    ASSERT_FALSE(status.ok()) << listen;
    EXPECT_EQ(status.error().kind, manifests::ErrorKind::kUsage);
  }
}

class ServeCommandTest : public ::testing::Test {
 protected:
  uint16_t start(std::vector<std::string> more = {"--no-access-log"}) {
    std::vector<std::string> arguments = {KVCAST_ORIGIN, folder_.path().string(), "--listen",
                                          "127.0.0.1:0", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    server_.emplace(arguments, stderr_path_);
    const std::string line = server_->read_line();
    return nlohmann::json::parse(line)["port"].get<uint16_t>();
  }
  // As the first signal makes it.
  static bool stops_listening(uint16_t port) {
    try {
      for (int i = 0; i < 2000; ++i) {
        testing::Client probe(port);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    } catch (const std::runtime_error&) {
      return true;
    }
    return false;
  }
  std::string curl(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"curl", "-s", "--max-time", "20"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    Process process(arguments);
    const std::string output = process.read_all();
    curl_exit_ = process.wait();
    return output;
  }

  testing::TemporaryFolder folder_, elsewhere_;
  const std::string stderr_path_ = elsewhere_.path().string() + "/stderr";
  std::optional<Process> server_;
  int curl_exit_ = -1;
};

TEST_F(ServeCommandTest, ServesUntilASignalThenDrains) {
  for (const int number : {SIGTERM, SIGINT}) {
    folder_.write("large", testing::noise(20'000'000, 1));
    const uint16_t port = start();
    testing::Client client(port, 4096);
    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
    client.wait_for_answer();
    server_->signal(number);
    EXPECT_TRUE(client.receive().complete);
    EXPECT_EQ(server_->wait(), 0);
  }
}

TEST_F(ServeCommandTest, ASecondSignalEndsItAtOnce) {
  folder_.write("large", testing::noise(20'000'000, 1));
  const uint16_t port = start();
  testing::Client client(port, 4096);
  client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n");
  client.wait_for_answer();
  server_->signal(SIGTERM);
  EXPECT_TRUE(stops_listening(port));
  server_->signal(SIGINT);
  EXPECT_EQ(server_->wait(), 128 + SIGINT);
}

TEST_F(ServeCommandTest, LogsToStderrUnlessTold) {
  folder_.write("file", "hello");
  EXPECT_EQ(testing::get(start({}), "/file").body, "hello");
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(), 0);
  EXPECT_EQ(nlohmann::json::parse(content(stderr_path_))["path"], "/file");
  EXPECT_EQ(testing::get(start({"--no-access-log"}), "/file").body, "hello");
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(), 0);
  EXPECT_EQ(content(stderr_path_), "");
}

TEST_F(ServeCommandTest, ExitCodesAndMessages) {
  const auto run = [&](const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {KVCAST_ORIGIN};
    all.insert(all.end(), arguments.begin(), arguments.end());
    Process process(all, stderr_path_);
    process.read_all();
    return process.wait();
  };
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"--no-such-flag", "."}), 2);
  EXPECT_EQ(run({folder_.path().string(), "--listen", "nonsense"}), 2);
  EXPECT_THAT(content(stderr_path_), ::testing::HasSubstr("HOST:PORT"));
  EXPECT_EQ(run({"/nowhere", "--listen", "127.0.0.1:0"}), 3);
  EXPECT_THAT(content(stderr_path_), ::testing::HasSubstr("/nowhere"));
  EXPECT_EQ(run({folder_.path().string(), "--pace", folder_.write("bad", "x y\n")}), 4);
  EXPECT_THAT(content(stderr_path_), ::testing::HasSubstr("bad:1:"));
}

TEST_F(ServeCommandTest, FlagsWinOverTheFileWinsOverTheEnvironment) {
  folder_.write("file", "hello");
  const auto limit = [&](const std::string& environment, const std::string& file,
                         const std::vector<std::string>& flags) {
    std::vector<std::string> more = {"--no-access-log"};
    if (!file.empty()) {
      more.insert(more.end(), {"--config", elsewhere_.write("config", file)});
    }
    more.insert(more.end(), flags.begin(), flags.end());
    if (!environment.empty()) ::setenv("KVCAST_SERVE_MAX_REQUESTS", environment.c_str(), 1);
    testing::Client client(start(more));
    ::unsetenv("KVCAST_SERVE_MAX_REQUESTS");
    int served = 1;
    while (served < 9 && client.get("/file").field("connection") != "close") ++served;
    return served;
  };
  EXPECT_EQ(limit("2", "", {}), 2);
  EXPECT_EQ(limit("2", "max-requests = 3\n", {}), 3);
  EXPECT_EQ(limit("2", "max-requests = 3\n", {"--max-requests", "4"}), 4);
  EXPECT_EQ(limit("", "no-access-log = true\nmax-requests = 5\n", {}), 5);
}

TEST_F(ServeCommandTest, ASubcommandTakesTheFileTooAndTyposAreErrors) {
  const auto parsed = [&](const std::string& file, const std::vector<std::string>& more) {
    CLI::App app;
    ServeOptions options;
    add_serve_options(*app.add_subcommand("serve"), "kvcast serve", options);
    std::vector<std::string> arguments = more;  // CLI11 takes them last first
    arguments.insert(arguments.begin(), {elsewhere_.write("config", file), "--config"});
    arguments.push_back("serve");
    app.parse(arguments);
    return options;
  };
  const std::string file =
      "DIR = \"/store\"\nlisten = \"[::1]:80\"\nopen-tenant = [\"a\", \"b\"]\n";
  EXPECT_EQ(parsed(file, {}).server.root, "/store");
  EXPECT_EQ(parsed(file, {}).listen, "[::1]:80");
  EXPECT_EQ(parsed(file, {}).server.open_tenants, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(parsed(file, {"8080", "--listen"}).listen, "8080") << "given before the file";
  EXPECT_THROW(parsed("DIR = \"/store\"\nlisten-at = 80\n", {}), CLI::ParseError);
  EXPECT_THROW(parsed("DIR = \"/store\"\nmax-requests = x\n", {}), CLI::ParseError);
}

TEST_F(ServeCommandTest, HangUpReadsKeysAgainAndSecretsStayOutOfLogs) {
  folder_.write("t/acme/m/x.json", "{}");
  const std::string old_keys = "old " + std::string(64, 'a') + "\n",
                    new_keys = "new " + std::string(64, 'b') + "\n";
  const std::string keys = elsewhere_.write("keys", old_keys);
  const uint16_t port = start({"--token-keys", keys});
  const auto path_with = [](const std::string& text) {
    return "/s/" +
           mint_token(TokenKeys::parse(text, "keys")->signing(), {"acme", "r", 99999999999}) +
           "/t/acme/m/x.json";
  };
  EXPECT_EQ(testing::get(port, path_with(old_keys)).status, 200);
  EXPECT_EQ(testing::get(port, path_with(new_keys)).status, 403);
  elsewhere_.write("keys", new_keys);
  server_->signal(SIGHUP);
  for (int i = 0; i < 200 && testing::get(port, path_with(new_keys)).status != 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(testing::get(port, path_with(new_keys)).status, 200);
  EXPECT_EQ(testing::get(port, path_with(old_keys)).status, 403);
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->wait(), 0);
  const std::string log = content(stderr_path_);
  EXPECT_THAT(log, ::testing::HasSubstr("\"path\":\"/t/acme/m/x.json\""));
  EXPECT_THAT(log, ::testing::HasSubstr("\"key\":\"new\""));
  for (const std::string& text : {old_keys, new_keys}) {
    EXPECT_EQ(log.find(path_with(text).substr(30, 30)), std::string::npos);
    EXPECT_EQ(log.find(text.substr(4, 64)), std::string::npos);
  }
}

TEST_F(ServeCommandTest, CurlFetchesResumesAndRevalidates) {
  if (!testing::is_on_path("curl")) GTEST_SKIP() << "curl is not installed";
  const std::string whole = testing::noise(1'000'000, 2);
  folder_.write("file", whole);
  const std::string url = "http://127.0.0.1:" + std::to_string(start()) + "/file";
  EXPECT_TRUE(curl({url}) == whole);
  EXPECT_TRUE(curl({"-r", "1000-1999", url}) == whole.substr(1000, 1000));
  const std::string part = elsewhere_.write("part", whole.substr(0, 300'000));
  curl({"-C", "-", "-o", part, url});
  EXPECT_EQ(curl_exit_, 0);
  EXPECT_TRUE(content(part) == whole);
  const std::string tag = elsewhere_.path().string() + "/tag";
  curl({"--etag-save", tag, "-o", "/dev/null", url});
  EXPECT_EQ(curl({"--etag-compare", tag, "-o", "/dev/null", "-w", "%{http_code}", url}), "304");
  EXPECT_EQ(curl({"-z", "1 Jan 2038", "-o", "/dev/null", "-w", "%{http_code}", url}), "304");
  EXPECT_EQ(curl({"-I", "-w", "%{http_code}", "-o", "/dev/null", url}), "200");
}

}  // namespace
}  // namespace kvcast::origin
