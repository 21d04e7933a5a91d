// Tokens, forged ones, other people's tenants, smuggled requests: over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <random>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/token.h"

namespace kvcast::origin {
namespace {

using testing::Client;
using testing::Response;

class ServerAccessTest : public ::testing::Test {
 protected:
  ServerAccessTest() {
    folder_.write("t/acme/m/x.json", "acme's");
    folder_.write("t/other/m/x.json", "other's");
    folder_.write(manifests::object_path("acme", manifests::sha256({})), "");
    folder_.write("secret", "secret");
    params_.root = folder_.path().string();
    params_.threads = 1;
    params_.access_log = false;
    params_.token_keys = "k " + std::string(64, 'a') + "\n";
  }
  uint16_t start() {
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }
  std::string token(const std::string& tenant, int64_t lasts_s = 3600) const {
    return mint_token(TokenKeys::parse(params_.token_keys, "keys")->signing(),
                      {tenant, "r", std::time(nullptr) + lasts_s});
  }

  testing::TemporaryFolder folder_;
  ServerParams params_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerAccessTest, AHolderReadsItsTenantAndNothingElse) {
  Client client(start());
  const std::string mine = "/s/" + token("acme");
  EXPECT_EQ(client.get(mine + "/t/acme/m/x.json").body, "acme's");
  EXPECT_EQ(client.get("/t/acme/m/x.json", "Authorization: Bearer " + token("acme") + "\r\n").body,
            "acme's");
  EXPECT_EQ(client.get(mine + "/t/acme/").status, 204);
  EXPECT_EQ(client.get(mine + "/t/acme/m/none.json").status, 404);
  EXPECT_EQ(client.get(mine + "/t/other/m/x.json").status, 403);
  EXPECT_EQ(client.get("/s/" + token("acme", -1) + "/t/acme/m/x.json").status, 403);
  EXPECT_EQ(client.get("/t/acme/m/x.json").status, 401);
  EXPECT_EQ(client.get("/t/acme/m/x.json").field("www-authenticate"), "Bearer realm=\"kvcast\"");
  EXPECT_EQ(client.get("/secret").status, 404);
  EXPECT_EQ(client.get(mine + "/secret").status, 404);
  EXPECT_EQ(client.get("/healthz").status, 200);
  EXPECT_EQ(client.get("/metrics").status, 404) << "it would tell of other tenants' traffic";
}

TEST_F(ServerAccessTest, RangesAndConditionsNeedATokenToo) {
  Client client(start());
  const std::string mine = "/s/" + token("acme") + "/t/acme/m/x.json";
  const Response whole = client.get(mine);
  EXPECT_EQ(whole.field("cache-control"), "private, max-age=5, stale-while-revalidate=60");
  EXPECT_EQ(client.get(mine, "Range: bytes=0-3\r\n").body, "acme");
  const std::string same = "If-None-Match: " + whole.field("etag") + "\r\n";
  EXPECT_EQ(client.get(mine, same).status, 304);
  EXPECT_EQ(client.get("/t/acme/m/x.json", same).status, 401);
  EXPECT_EQ(client.get("/t/acme/m/x.json", "If-None-Match: *\r\n").status, 401);
  EXPECT_EQ(client.request("HEAD", "/t/acme/m/x.json").status, 401);
  const std::string object = manifests::object_path("acme", manifests::sha256({}));
  EXPECT_EQ(client.get("/s/" + token("acme") + "/" + object).field("cache-control"),
            "private, max-age=31536000, immutable");
}

// Nobody learns from an answer whether another tenant, or a file of its, exists.
TEST_F(ServerAccessTest, WhatIsNotOursAnswersAlikeWhetherItExistsOrNot) {
  Client client(start());
  const auto shape = [](Response response) {
    response.fields.erase("date");
    return std::make_tuple(response.status, response.fields, response.body);
  };
  for (const std::string& prefix : {std::string(), "/s/" + token("acme"), std::string("/s/x")}) {
    const auto real = shape(client.get(prefix + "/t/other/m/x.json"));
    for (const char* path : {"/t/other/m/none.json", "/t/nobody/m/x.json", "/t/other/o/ab/x.kvo"}) {
      EXPECT_EQ(shape(client.get(prefix + path)), real) << prefix << path;
    }
    EXPECT_EQ(shape(client.get(prefix + "/t/other/m/x.json", "Range: bytes=0-0\r\n")), real);
    EXPECT_EQ(shape(client.get(prefix + "/t/other/m/x.json", "If-None-Match: *\r\n")), real);
  }
}

TEST_F(ServerAccessTest, NoWayAroundThroughThePath) {
  Client client(start());
  const std::string mine = "/s/" + token("acme");
  for (const std::string& target :
       {mine + "/t/acme/../other/m/x.json", mine + "/t/acme/%2e%2e/other/m/x.json",
        mine + "/t/acme/..%2fother/m/x.json", mine + "/t/acme%2f..%2fother/m/x.json",
        mine + "//t//other//m/x.json", mine + "/t/./other/m/x.json", mine + "/%74/other/m/x.json",
        mine + "/t/OTHER/m/x.json", mine + "/t/other%00/m/x.json", mine + "/t/acme;/other/m/x.json",
        "http://h" + mine + "/t/other/m/x.json", mine + "/t/acme/m/../../other/m/x.json",
        "/t/other/m/x.json?token=" + token("other"), "/t/other/m/x.json#" + token("other"),
        "/s/" + token("other") + "/t/acme/../other/m/x.json",
        mine + "/s/" + token("other") + "/t/other/m/x.json"}) {
    const Response response = client.get(target);
    EXPECT_THAT(response.status, ::testing::AnyOf(400, 401, 403, 404)) << target;
    EXPECT_EQ(response.body.find("other's"), std::string::npos) << target;
  }
}

TEST_F(ServerAccessTest, ForgedTokensOpenNothing) {
  Client client(start());
  const std::string good = token("acme");
  std::mt19937_64 random(7);
  const std::string letters = "0123456789abcdef.rwkAZ-_";
  for (int i = 0; i < 2000; ++i) {
    std::string forged = good;
    for (size_t changes = 1 + random() % 3; changes > 0; --changes) {
      forged[random() % forged.size()] = letters[random() % letters.size()];
    }
    if (forged == good) continue;
    ASSERT_THAT(client.get("/s/" + forged + "/t/acme/m/x.json").status, ::testing::AnyOf(403, 404))
        << forged;  // 404: it begins with a dot
  }
  EXPECT_EQ(client.get("/s/" + good + "/t/acme/m/x.json").status, 200);
}

TEST_F(ServerAccessTest, HeadersCannotBeInjected) {
  Client client(start());
  const std::string mine = "/s/" + token("acme");
  for (const std::string& target :
       {std::string("/t/acme%0d%0aX-Evil:1/m/x"), mine + "/t/acme/m/%0d%0aX-Evil:%201",
        mine + "/t/acme/m/x.json%0d%0a%0d%0aHTTP/1.1%20200%20OK"}) {
    const Response response = client.get(target);
    EXPECT_NE(response.status, 200) << target;
    EXPECT_EQ(response.field("x-evil"), "") << target;
  }
  EXPECT_EQ(client.get("/healthz").status, 200) << "no answer was split";
}

// Each of these means one request here, or none, but two to somebody in front or behind.
TEST_F(ServerAccessTest, RequestsCannotBeSmuggled) {
  const uint16_t port = start();
  const std::string hidden = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string start_line = "GET /healthz HTTP/1.1\r\nHost: h\r\n";
  const std::string length = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
  for (const std::string& fields :
       {length + "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n" + length,
        "Content-Length: 0\r\n" + length, length + "Content-Length: 0\r\n", length + length,
        std::string("Content-Length: +5\r\n"), std::string("Content-Length: 0x5\r\n"),
        std::string("Content-Length : 5\r\n"), std::string("Content-Length: 5 5\r\n"),
        std::string("Transfer-Encoding: xchunked\r\n"),
        std::string("Transfer-Encoding: chunked, identity\r\n"),
        std::string("Transfer-Encoding : chunked\r\n"),
        std::string("Transfer-Encoding:\r\n chunked\r\n"), std::string("X: 1\r\n Host: evil\r\n"),
        std::string("X: 1\rContent-Length: 5\r\n"), std::string("X\0: 1\r\n", 8)}) {
    Client client(port);
    client.send(start_line + fields + "\r\n" + hidden);
    const Response first = client.receive();
    EXPECT_THAT(first.status, ::testing::AnyOf(400, 413, 501)) << fields;
    EXPECT_EQ(first.field("connection"), "close") << fields;
    EXPECT_EQ(client.receive().status, 0) << fields << ": a second request was seen";
  }
  Client client(port);
  client.send(start_line + length + "\r\n" + hidden);
  EXPECT_EQ(client.receive().status, 200);
  client.finish_sending();
  EXPECT_EQ(client.receive().status, 0) << "a body is no request";
}

TEST_F(ServerAccessTest, OpenTenantsAreOpen) {
  params_.open_tenants = {"other"};
  Client client(start());
  EXPECT_EQ(client.get("/t/other/m/x.json").body, "other's");
  EXPECT_EQ(client.get("/t/acme/m/x.json").status, 401);
}

TEST_F(ServerAccessTest, BadKeysAreRefusedWithoutTellingThem) {
  params_.token_keys = "k " + std::string(20, 'a');
  const auto server = Server::start(params_);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().message.find("aaaa"), std::string::npos);
  params_.token_keys_path = "/nowhere";
  EXPECT_FALSE(Server::start(params_).ok()) << "both";
}

}  // namespace
}  // namespace kvcast::origin
