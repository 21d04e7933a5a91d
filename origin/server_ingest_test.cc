// Putting, going on, removing, quotas and lookups, over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "manifests/layout.h"
#include "origin/server.h"
#include "origin/testing/client.h"
#include "origin/testing/folder.h"
#include "origin/testing/presentation.h"
#include "origin/token.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;
using testing::Client;
using ::testing::HasSubstr;
using testing::Presentation;
using testing::Response;

class ServerIngestTest : public ::testing::Test {
 protected:
  ServerIngestTest() {
    params_.root = folder_.path().string();
    params_.threads = 1;
    params_.access_log = false;
    params_.ingest = ServerParams::Ingest::kAnyone;
  }
  uint16_t start() {
    auto server = Server::start(params_);
    if (!server.ok()) throw std::runtime_error(server.error().message);
    server_ = std::move(*server);
    return server_->port();
  }
  Response put(const std::string& path, const std::string& body, const std::string& more = "") {
    Client client(server_->port());
    client.send("PUT " + path + " HTTP/1.1\r\nHost: h\r\n" + more +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.receive();
  }
  Response post(const std::string& path, const std::string& body, const std::string& more = "") {
    Client client(server_->port());
    client.send("POST " + path + " HTTP/1.1\r\nHost: h\r\n" + more +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.receive();
  }
  Response remove(const std::string& path, const std::string& more = "") {
    return Client(server_->port()).request("DELETE", path, more);
  }
  void put_all(const Presentation& what, const std::string& more = "") {
    for (const auto* files : {&what.objects, &what.entries}) {
      if (files == &what.entries) {
        ASSERT_EQ(put("/t/acme/" + what.manifest_path(), what.manifest_text(), more).status, 201);
      }
      for (const auto& [path, bytes] : *files) {
        ASSERT_EQ(put("/t/acme/" + path, bytes, more).status, 201) << path;
      }
    }
  }
  static std::string object(const std::string& bytes) {
    const auto digest = manifests::sha256(std::as_bytes(std::span(bytes)));
    return std::string("/").append(manifests::object_path("acme", digest));
  }
  // What lies below the store, hidden files included.
  std::vector<std::string> files() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (entry.is_regular_file()) {
        found.push_back(fs::relative(entry.path(), folder_.path()).string());
      }
    }
    return found;
  }

  testing::TemporaryFolder folder_;
  ServerParams params_;
  std::unique_ptr<Server> server_;
  const Presentation book_ = testing::make_presentation("book", testing::some_tokens(80));
};

TEST_F(ServerIngestTest, WhatWasPutIsServed) {
  start();
  put_all(book_);
  for (const auto& [path, bytes] : book_.files()) {
    EXPECT_EQ(testing::get(server_->port(), "/t/acme/" + path).body, bytes) << path;
  }
  EXPECT_EQ(files().size(), book_.files().size()) << "nothing is left over";
  put_all(book_);  // the same answers again
  EXPECT_EQ(files().size(), book_.files().size());
}

TEST_F(ServerIngestTest, NothingWithoutIngest) {
  params_.ingest = ServerParams::Ingest::kNobody;
  start();
  const Response refused = put(object("x"), "x");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.field("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(remove(object("x")).status, 405);
}

TEST_F(ServerIngestTest, OnlyPathsOfAStore) {
  start();
  for (const char* path : {"/file", "/t/acme/file", "/t/acme/m/x", "/t/acme/.incoming/x",
                           "/t/acme/o/ab/cd.kvo", "/healthz", "/metrics", "/t/acme/", "/"}) {
    EXPECT_THAT(put(path, "x").status, ::testing::AnyOf(404, 405)) << path;
    EXPECT_THAT(remove(path).status, ::testing::AnyOf(404, 405)) << path;
  }
  EXPECT_EQ(put("/t/acme/file", "x").field("allow"), "GET, HEAD, OPTIONS, PUT, DELETE");
  EXPECT_TRUE(files().empty());
}

TEST_F(ServerIngestTest, TheNameMustBeTheDigest) {
  start();
  const Response refused = put(object("other"), "bytes");
  EXPECT_EQ(refused.status, 422);
  EXPECT_THAT(refused.body, HasSubstr("SHA-256"));
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(put(object(""), "").status, 201);
}

TEST_F(ServerIngestTest, AManifestComesAfterItsObjects) {
  start();
  const auto manifest = "/t/acme/" + book_.manifest_path();
  auto objects = book_.objects;
  const auto missing = objects.extract(objects.begin());
  for (const auto& [path, bytes] : objects) ASSERT_EQ(put("/t/acme/" + path, bytes).status, 201);
  const Response refused = put(manifest, book_.manifest_text());
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr(fs::path(missing.key()).stem().string()));
  const auto& [entry, entry_text] = *book_.entries.begin();
  EXPECT_EQ(put("/t/acme/" + entry, entry_text).status, 409);
  EXPECT_EQ(put("/t/acme/" + missing.key(), missing.mapped()).status, 201);
  EXPECT_EQ(put(manifest, book_.manifest_text()).status, 201);
  EXPECT_EQ(put("/t/acme/" + entry, entry_text).status, 201);
  EXPECT_EQ(put("/t/other/" + book_.manifest_path(), book_.manifest_text()).status, 409)
      << "another tenant's objects do not count";
}

TEST_F(ServerIngestTest, WhatNoReaderWouldTakeIsRefused) {
  start();
  put_all(book_);
  EXPECT_EQ(put("/t/acme/m/book.json", "{}").status, 422);
  EXPECT_EQ(put("/t/acme/m/else.json", book_.manifest_text()).status, 422);
  EXPECT_EQ(put("/t/acme/" + book_.entries.begin()->first, "{}").status, 422);
  EXPECT_EQ(put("/t/acme/" + book_.entries.begin()->first, std::string(4097, ' ')).status, 413);
  EXPECT_EQ(testing::get(server_->port(), "/t/acme/m/book.json").body, book_.manifest_text());
}

TEST_F(ServerIngestTest, HeadersThatCannotBe) {
  start();
  const std::string bytes(20, 'x'), path = object(bytes);
  EXPECT_EQ(put(path, bytes, "Content-Encoding: gzip\r\n").status, 415);
  for (const char* range : {"bytes 0-9/20", "bytes 0-29/30", "bytes */20", "bytes 5-1/20", "x"}) {
    EXPECT_EQ(put(path, bytes, "Content-Range: " + std::string(range) + "\r\n").status, 400)
        << range;
  }
  EXPECT_EQ(put("/t/acme/m/x.json", bytes, "Content-Range: bytes 0-19/20\r\n").status, 400);
  Client chunked(server_->port());
  chunked.send("PUT " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_EQ(chunked.receive().status, 411);
  EXPECT_TRUE(files().empty());
}

TEST_F(ServerIngestTest, TooLong) {
  params_.limits.max_object_bytes = 10;
  start();
  EXPECT_EQ(put(object(std::string(11, 'x')), std::string(11, 'x')).status, 413);
  EXPECT_EQ(put(object("x"), "x", "Content-Range: bytes 0-0/11\r\n").status, 413);
  EXPECT_EQ(put(object(std::string(10, 'x')), std::string(10, 'x')).status, 201);
}

TEST_F(ServerIngestTest, PiecesGoOn) {
  start();
  const std::string bytes = testing::noise(700'000, 5), path = object(bytes);
  const auto piece = [&](size_t first, size_t count) {
    return put(path, bytes.substr(first, count),
               "Content-Range: bytes " + std::to_string(first) + "-" +
                   std::to_string(first + count - 1) + "/" + std::to_string(bytes.size()) + "\r\n");
  };
  const auto ask = [&] {
    return put(path, "", "Content-Range: bytes */" + std::to_string(bytes.size()) + "\r\n");
  };
  EXPECT_EQ(ask().field("upload-offset"), "0");
  EXPECT_EQ(piece(100, 10).status, 409);
  Response answer = piece(0, 400'000);
  EXPECT_EQ(answer.status, 202);
  EXPECT_EQ(answer.field("upload-offset"), "400000");
  EXPECT_EQ(testing::get(server_->port(), path).status, 404);
  EXPECT_EQ(ask().field("upload-offset"), "400000");
  answer = piece(300'000, 200'000);
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.field("upload-offset"), "400000");
  EXPECT_EQ(piece(400'000, 1).status, 202);
  EXPECT_EQ(piece(400'001, 299'999).status, 201);
  EXPECT_TRUE(testing::get(server_->port(), path).body == bytes);
  EXPECT_EQ(ask().field("upload-offset"), "0") << "nothing is under way any more";
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(ServerIngestTest, ABrokenUploadGoesOn) {
  start();
  const std::string bytes = testing::noise(600'000, 6), path = object(bytes);
  {
    Client client(server_->port());
    client.send("PUT " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 600000\r\n\r\n" +
                bytes.substr(0, 300'000));
    client.finish_sending();
    EXPECT_EQ(client.receive().status, 408);
  }
  const Response asked = put(path, "", "Content-Range: bytes */600000\r\n");
  EXPECT_EQ(asked.status, 202);
  EXPECT_EQ(asked.field("upload-offset"), "300000");
  EXPECT_EQ(
      put(path, bytes.substr(300'000), "Content-Range: bytes 300000-599999/600000\r\n").status,
      201);
  EXPECT_TRUE(testing::get(server_->port(), path).body == bytes);
}

TEST_F(ServerIngestTest, DamageOnTheWayIsFoundAtTheEnd) {
  start();
  const std::string bytes = testing::noise(1000, 7), path = object(bytes);
  EXPECT_EQ(put(path, std::string(500, 'x'), "Content-Range: bytes 0-499/1000\r\n").status, 202);
  EXPECT_EQ(put(path, bytes.substr(500), "Content-Range: bytes 500-999/1000\r\n").status, 422);
  EXPECT_TRUE(files().empty());
}

TEST_F(ServerIngestTest, TheSameObjectFromTwoAtOnce) {
  start();
  const std::string bytes = testing::noise(1000, 8), path = object(bytes);
  Client slow(server_->port());
  slow.send("PUT " + path +
            " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n"
            "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(slow.receive(true).status, 100);
  EXPECT_EQ(put(path, bytes.substr(0, 10), "Content-Range: bytes 10-19/1000\r\n").status, 409);
  EXPECT_EQ(put(path, bytes).status, 201);
  slow.send(bytes);
  EXPECT_EQ(slow.receive().status, 201);
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(ServerIngestTest, ContinueOnlyForWhoMay) {
  params_.quotas = {"acme=1000"};
  start();
  const std::string head = " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: ";
  Client tenant(server_->port());
  tenant.send("PUT " + object("x") + head + "2000\r\n\r\n");
  EXPECT_EQ(tenant.receive().status, 507);
  EXPECT_TRUE(tenant.is_closed_by_peer()) << "nobody knows whether the body comes";
  Client stranger(server_->port());
  stranger.send("PUT /t/acme/file" + head + "10\r\n\r\n");
  EXPECT_EQ(stranger.receive().status, 405);
}

TEST_F(ServerIngestTest, QuotasOfBytesAndFiles) {
  params_.quotas = {"acme=1000", "small=1M,1"};
  start();
  const std::string most = testing::noise(900, 9);
  EXPECT_EQ(put(object(most), most).status, 201);
  EXPECT_EQ(put(object(most), most).status, 201) << "once more is not more";
  const Response refused = put(object(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(refused.status, 507);
  EXPECT_THAT(refused.body, HasSubstr("quota"));
  EXPECT_EQ(remove(object(most)).status, 204);
  EXPECT_EQ(put(object(std::string(200, 'x')), std::string(200, 'x')).status, 201);
  EXPECT_EQ(put("/t/small" + object("a").substr(7), "a").status, 201);
  EXPECT_EQ(put("/t/small" + object("b").substr(7), "b").status, 507);
  EXPECT_EQ(put("/t/other" + object("b").substr(7), "b").status, 201);
}

TEST_F(ServerIngestTest, UnfinishedUploadsCount) {
  params_.quotas = {"acme=1000"};
  start();
  const std::string bytes = testing::noise(900, 10), path = object(bytes);
  EXPECT_EQ(put(path, bytes.substr(0, 800), "Content-Range: bytes 0-799/900\r\n").status, 202);
  EXPECT_EQ(put(object(std::string(300, 'x')), std::string(300, 'x')).status, 507);
  EXPECT_EQ(put(path, bytes.substr(800), "Content-Range: bytes 800-899/900\r\n").status, 201);
  EXPECT_EQ(put(object(std::string(100, 'x')), std::string(100, 'x')).status, 201);
  EXPECT_EQ(put(object("x"), "x").status, 507);
}

TEST_F(ServerIngestTest, RemovingAndItsOrder) {
  start();
  put_all(book_);
  const std::string object_path = "/t/acme/" + book_.objects.begin()->first;
  const Response refused = remove(object_path);
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("book"));
  for (const auto& [path, bytes] : book_.entries) EXPECT_EQ(remove("/t/acme/" + path).status, 204);
  EXPECT_EQ(remove("/t/acme/m/book.json").status, 204);
  EXPECT_EQ(remove("/t/acme/m/book.json").status, 204) << "again is no error";
  for (const auto& [path, bytes] : book_.objects) EXPECT_EQ(remove("/t/acme/" + path).status, 204);
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(remove("/t/nobody/m/book.json").status, 204);
}

TEST_F(ServerIngestTest, Conditions) {
  start();
  put_all(book_);
  const std::string path = "/t/acme/m/book.json";
  const std::string tag = testing::get(server_->port(), path).field("etag");
  EXPECT_EQ(put(path, book_.manifest_text(), "If-None-Match: *\r\n").status, 412);
  EXPECT_EQ(put(path, book_.manifest_text(), "If-Match: \"x\"\r\n").status, 412);
  EXPECT_EQ(remove(path, "If-Match: \"x\"\r\n").status, 412);
  EXPECT_EQ(put(path, book_.manifest_text(), "If-Match: " + tag + "\r\n").status, 201);
  EXPECT_EQ(remove(path, "If-Match: " + tag + "\r\n").status, 412) << "it was replaced";
  EXPECT_EQ(remove(path, "If-Match: *\r\n").status, 204);
  EXPECT_EQ(put(path, book_.manifest_text(), "If-None-Match: *\r\n").status, 201);
}

TEST_F(ServerIngestTest, ConnectionsGoOnAfterwards) {
  start();
  Client client(server_->port());
  const auto send = [&](const std::string& path, const std::string& bytes) {
    client.send("PUT " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(bytes.size()) + "\r\n\r\n" + bytes);
  };
  for (const char* bytes : {"a", "b", "c"}) send(object(bytes), bytes);  // all at once
  send(object("x"), "wrong");
  send("/t/acme/file", "five!");
  client.send("GET " + object("b") + " HTTP/1.1\r\nHost: h\r\n\r\n");
  for (const int status : {201, 201, 201, 422, 405}) EXPECT_EQ(client.receive().status, status);
  EXPECT_EQ(client.receive().body, "b");
}

TEST_F(ServerIngestTest, TokensNeedTheRightToWrite) {
  params_.ingest = ServerParams::Ingest::kByToken;
  params_.token_keys = "k " + std::string(64, 'a') + "\n";
  params_.open_tenants = {"open"};
  start();
  const auto bearer = [&](const std::string& tenant, const std::string& rights, int64_t lasts_s) {
    const TokenClaims claims{tenant, rights, std::time(nullptr) + lasts_s};
    return "Authorization: Bearer " +
           mint_token(TokenKeys::parse(params_.token_keys, "keys")->signing(), claims) + "\r\n";
  };
  const std::string path = object("x"), open_path = "/t/open" + path.substr(7);
  EXPECT_EQ(put(path, "x").status, 401);
  EXPECT_EQ(put(path, "x", bearer("acme", "r", 60)).status, 403);
  EXPECT_EQ(put(path, "x", bearer("other", "w", 60)).status, 403);
  EXPECT_EQ(put(path, "x", bearer("acme", "w", -1)).status, 403);
  EXPECT_EQ(put(open_path, "x").status, 401) << "open to be read, not to be written";
  EXPECT_EQ(remove(open_path).status, 401);
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(put(path, "x", bearer("acme", "w", 60)).status, 201);
  EXPECT_EQ(put(open_path, "x", bearer("open", "rw", 60)).status, 201);
  EXPECT_EQ(testing::get(server_->port(), path, bearer("acme", "w", 60)).status, 403)
      << "who writes need not read";
  EXPECT_EQ(remove(path, bearer("acme", "r", 60)).status, 403);
  EXPECT_EQ(remove(path, bearer("acme", "rw", 60)).status, 204);
  EXPECT_EQ(post("/t/acme/k/x:longest", "").status, 401);
  EXPECT_EQ(post("/t/acme/k/x:longest", "", bearer("acme", "r", 60)).status, 200);
}

// An answer does not tell whether the object was there, nor what others have.
TEST_F(ServerIngestTest, AnExistingObjectAnswersAsANewOne) {
  start();
  const auto shape = [](Response response) {
    response.fields.erase("date");
    return std::make_tuple(response.status, response.fields, response.body);
  };
  const auto first = shape(put(object("x"), "x"));
  EXPECT_EQ(shape(put(object("x"), "x")), first);
  EXPECT_EQ(shape(put("/t/other" + object("x").substr(7), "x")), first);
  EXPECT_EQ(shape(put(object("x"), "", "Content-Range: bytes */1\r\n")),
            shape(put(object("y"), "", "Content-Range: bytes */1\r\n")));
}

TEST_F(ServerIngestTest, IngestAndKeysMustAgree) {
  params_.token_keys = "k " + std::string(64, 'a') + "\n";
  EXPECT_FALSE(Server::start(params_).ok());
  params_.token_keys.clear();
  params_.ingest = ServerParams::Ingest::kByToken;
  EXPECT_FALSE(Server::start(params_).ok());
  params_.ingest = ServerParams::Ingest::kAnyone;
  params_.quotas = {"acme"};
  EXPECT_FALSE(Server::start(params_).ok());
}

TEST_F(ServerIngestTest, SmuggledBodiesAreNoRequests) {
  start();
  const std::string hidden = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string length = "Content-Length: " + std::to_string(hidden.size()) + "\r\n";
  for (const std::string& fields :
       {length + "Transfer-Encoding: chunked\r\n", length + length,
        length + "Content-Length: 1\r\n", std::string("Content-Length: +5\r\n"),
        std::string("Content-Length: 5, 5\r\n"), std::string("Content-Length: 0x5\r\n"),
        std::string("Content-Length:\r\n 5\r\n"), std::string("Content-Length : 5\r\n"),
        std::string("Transfer-Encoding: identity\r\n"),
        length + "Content-Range: bytes 0-0/9\r\n\tX: 1\r\n"}) {
    Client client(server_->port());
    client.send("PUT " + object("x") + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + hidden);
    EXPECT_THAT(client.receive().status, ::testing::AnyOf(400, 411, 501)) << fields;
    EXPECT_EQ(client.receive().status, 0) << fields << ": a second request was seen";
  }
  Client client(server_->port());
  client.send("PUT " + object("x") + " HTTP/1.1\r\nHost: h\r\n" + length + "\r\n" + hidden);
  EXPECT_EQ(client.receive().status, 422);
  client.finish_sending();
  EXPECT_EQ(client.receive().status, 0) << "a body is no request";
}

TEST_F(ServerIngestTest, NoWayOutThroughThePath) {
  start();
  const std::string name = object("x").substr(7);  // "/o/ab/ab….kvo"
  std::vector<std::string> paths = {"/t/acme/m/../x.json", "/t/acme/m/%2e%2e%2fx.json",
                                    "/t/acme/m/..%5cx.json", "/t/acme/m/.json"};
  for (const char* tenant :
       {"/t/..", "/t/%2e%2e", "/t/acme/..", "/t/acme/o/../..", "/t/acme%2f..", "/t/acme\\",
        "/t/acme%00", "/t/a%20b", "/t/acme/k/..", "/t/acme/x", "/x/acme", "/t"}) {
    paths.push_back(tenant);
    paths.back() += name;
  }
  for (const std::string& path : paths) {
    EXPECT_THAT(put(path, "x").status, ::testing::AnyOf(400, 404, 405)) << path;
    EXPECT_THAT(remove(path).status, ::testing::AnyOf(400, 404, 405)) << path;
  }
  EXPECT_TRUE(files().empty());
  EXPECT_EQ(put("/t//acme//" + name, "x").status, 201) << "empty segments do not count";
}

TEST_F(ServerIngestTest, NoFieldOfAnAnswerComesFromTheRequest) {
  start();
  for (const char* evil : {"/t/acme/m/a%0d%0aX-Evil:%201.json", "/t/a%0d%0aX-Evil:1/m/a.json"}) {
    const Response response = put(evil, "{}");
    EXPECT_THAT(response.status, ::testing::AnyOf(404, 405)) << evil;
    EXPECT_EQ(response.field("x-evil"), "");
  }
  const Response refused = put("/t/acme/m/x.json", "{\"kvcast\":1,\"id\":\"\r\nX-Evil: 1\"}");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.field("x-evil"), "");
}

TEST_F(ServerIngestTest, LongestStoredPrefix) {
  start();
  put_all(book_);
  const std::string path = "/t/acme/k/" + std::string(testing::kModel) + ":longest";
  std::string hashes;
  for (const auto& hash : book_.hashes) {
    hashes.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
  }
  std::string other(32, 'x');
  EXPECT_EQ(post(path, hashes).body, manifests::write_prefix_entry({"book", 80, 2}));
  EXPECT_EQ(post(path, hashes + other + other).body,
            manifests::write_prefix_entry({"book", 80, 2}));
  EXPECT_EQ(post(path, hashes.substr(0, 64)).body, manifests::write_prefix_entry({"book", 32, 0}));
  EXPECT_EQ(post(path, other).body, "{\"kvcast\":1,\"tokens\":0}\n");
  EXPECT_EQ(post(path, "").body, "{\"kvcast\":1,\"tokens\":0}\n");
  EXPECT_EQ(post(path, hashes).field("content-type"), "application/json");
  EXPECT_EQ(post(path, "x").status, 400);
  EXPECT_EQ(post(path, std::string(65537 * 32, 'x')).status, 413);
  EXPECT_EQ(post("/t/acme/k/model-1", hashes).status, 405);
  EXPECT_EQ(post("/t/other/k/model-1:longest", hashes).body, "{\"kvcast\":1,\"tokens\":0}\n");
  EXPECT_EQ(remove("/t/acme/m/book.json").status, 204);
  EXPECT_EQ(post(path, hashes).body, "{\"kvcast\":1,\"tokens\":0}\n") << "its manifest is gone";
}

}  // namespace
}  // namespace kvcast::origin
