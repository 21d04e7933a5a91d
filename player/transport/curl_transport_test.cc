#include "player/curl_transport.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "manifests/digest.h"
#include "manifests/layout.h"
#include "player/download.h"
#include "player/transport/scripted_server.h"

namespace kvcast::player {
namespace {

using Kind = TransferEvent::Kind;
using Reply = ScriptedServer::Reply;
using Then = ScriptedServer::Then;

constexpr std::chrono::seconds kLong{60};  // no test waits for it unless it fails

TransferRequest get(const std::string& url) {
  TransferRequest request;
  request.url = url;
  request.size_limit_bytes = 1 << 20;
  request.connect_limit = request.first_byte_limit = request.stall_limit = kLong;
  return request;
}

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Events until `transfers` have ended.
std::vector<TransferEvent> drain(Transport& transport, size_t transfers = 1) {
  std::vector<TransferEvent> all;
  for (size_t ended = 0; ended < transfers;) {
    auto events = transport.poll(kLong);
    if (events.empty()) {
      ADD_FAILURE() << "nothing happened";
      break;
    }
    for (TransferEvent& event : events) {
      ended += event.kind == Kind::kDone || event.kind == Kind::kFailed;
      all.push_back(std::move(event));
    }
  }
  return all;
}

TransferEvent last_event(Transport& transport, TransferRequest request) {
  transport.start(std::move(request));
  auto events = drain(transport);
  if (events.empty()) return {};
  return std::move(events.back());
}

TEST(CurlTransport, AStoppedTransferHandsOverWhatCame) {
  ScriptedServer server([](const std::string& request) {
    if (request.find("/missing") != std::string::npos) {
      return Reply{"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\nnot it", Then::kHang};
    }
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it", Then::kHang};
  });
  CurlTransport transport;
  const TransferId id = transport.start(get(server.url("/o")));
  for (uint64_t received = 0; received < 10;) {
    for (const TransferEvent& event : transport.poll(kLong)) received += event.new_bytes;
  }
  EXPECT_EQ(text(transport.stop(id)), "half of it");
  EXPECT_TRUE(transport.stop(id).empty());
  EXPECT_TRUE(transport.poll(std::chrono::milliseconds(20)).empty());
  const TransferId missing = transport.start(get(server.url("/missing")));
  transport.poll(std::chrono::milliseconds(100));
  EXPECT_TRUE(transport.stop(missing).empty()) << "an error page is no body";
}

TEST(CurlTransport, PostsABodyAndFollowsNoRedirect) {
  std::string head;
  ScriptedServer server([&](const std::string& request) {
    head = request;
    if (request.find("/moved") == std::string::npos) return Reply{http_ok("answer"), Then::kHang};
    return Reply{"HTTP/1.1 302 Found\r\nLocation: /o\r\nContent-Length: 0\r\n\r\n", Then::kHang};
  });
  for (const std::string path : {"/t/a/k/m:longest", "/moved"}) {
    CurlTransport transport;  // and a connection of its own: the server reads heads only
    TransferRequest request = get(server.url(path));
    request.post.emplace(5, std::byte{7});
    const TransferEvent last = last_event(transport, std::move(request));
    EXPECT_TRUE(head.starts_with("POST " + path + " HTTP/1.1\r\n")) << head;
    EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("Content-Type: application/octet-stream\r\n"), std::string::npos) << head;
    EXPECT_EQ(head.find("Expect"), std::string::npos) << head;
    if (path == "/moved") {
      EXPECT_EQ(last.failure.http_status, 302);
    } else {
      EXPECT_EQ(text(last.body), "answer");
    }
  }
}

TEST(CurlTransport, WarmsConnectionsThatTransfersThenUse) {
  ScriptedServer server([](const std::string& request) {
    if (request.starts_with("HEAD")) return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"};
    return Reply{http_ok("hello")};
  });
  // Nothing tells when the answers are there: on a busy machine not at once.
  bool all_warm = false;
  for (int wait_ms = 100; !all_warm && wait_ms < 20'000; wait_ms *= 4) {
    CurlTransport transport;
    const uint32_t requests = server.requests(), connections = server.connections();
    transport.warm(server.url("/m"), 3);
    while (server.requests() < requests + 3) transport.poll(std::chrono::milliseconds(10));
    transport.poll(std::chrono::milliseconds(wait_ms));
    EXPECT_EQ(server.connections(), connections + 3);
    for (int i = 0; i < 3; ++i) transport.start(get(server.url("/o")));
    all_warm = true;
    for (const TransferEvent& event : drain(transport, 3)) {
      all_warm = all_warm && (event.kind != Kind::kDone || !event.headers.new_connection);
    }
    all_warm = all_warm && server.connections() == connections + 3;
  }
  EXPECT_TRUE(all_warm);
  CurlTransport transport;
  transport.warm("http://127.0.0.1:1/", 2);  // nobody listens there: nobody hears of it
  EXPECT_TRUE(transport.poll(std::chrono::milliseconds(50)).empty());
}

TEST(CurlTransport, AHedgeGetsAConnectionOfItsOwn) {
  ScriptedServer server([](const std::string&) { return Reply{http_ok("hello")}; });
  CurlTransport transport;
  last_event(transport, get(server.url("/o")));
  TransferRequest hedge = get(server.url("/o"));
  hedge.fresh_connection = true;
  EXPECT_TRUE(last_event(transport, hedge).headers.new_connection);
  EXPECT_EQ(server.connections(), 2u);
}

TEST(CurlTransport, WhilePausedNothingIsReadAndNoLimitRuns) {
  const std::string body(64u << 20, 'x');  // more than sockets hold
  ScriptedServer server([&](const std::string&) { return Reply{http_ok(body)}; });
  CurlTransport transport;
  TransferRequest request = get(server.url("/o"));
  request.size_limit_bytes = body.size();
  request.stall_limit = std::chrono::milliseconds(2000);
  transport.start(request);
  while (transport.poll(kLong).empty()) {
  }
  transport.pause(true);
  const int64_t begin = transport.now_ns();
  while (transport.now_ns() - begin < 2'200'000'000) {
    EXPECT_TRUE(transport.poll(std::chrono::milliseconds(500)).empty());
  }
  transport.pause(false);
  const auto events = drain(transport);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().kind, Kind::kDone);
  EXPECT_EQ(events.back().body.size(), body.size());
}

TEST(CurlTransport, AWakeEndsAPausedPoll) {
  CurlTransport transport;
  transport.pause(true);
  std::jthread waker([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    transport.wake();
  });
  transport.poll(kLong);
}

TEST(CurlTransport, DeliversHeadersDataAndBody) {
  const std::string body(300'000, 'x');
  ScriptedServer server([&](const std::string&) {
    return Reply{http_ok(body, "ETag: \"abc\"\r\nAge: 7\r\nCache-Status: edge; hit\r\n")};
  });
  CurlTransport transport;
  const int64_t begin = transport.now_ns();
  const TransferId id = transport.start(get(server.url("/o")));
  const auto events = drain(transport);
  ASSERT_GE(events.size(), 3u);
  EXPECT_EQ(events.front().kind, Kind::kHeaders);
  const ResponseHeaders& headers = events.front().headers;
  EXPECT_EQ(headers.status, 200);
  EXPECT_EQ(headers.content_length, body.size());
  EXPECT_EQ(headers.etag, "\"abc\"");
  EXPECT_EQ(headers.age_s, 7u);
  EXPECT_EQ(headers.cache_status, "edge; hit");
  EXPECT_GT(headers.ttfb_ns, 0);
  EXPECT_TRUE(headers.new_connection);
  uint64_t received = 0;
  int64_t latest = begin;
  for (const TransferEvent& event : events) {
    EXPECT_EQ(event.id, id);
    EXPECT_GE(event.time_ns, latest);
    latest = event.time_ns;
    received += event.new_bytes;
  }
  EXPECT_EQ(received, body.size());
  ASSERT_EQ(events.back().kind, Kind::kDone);
  EXPECT_EQ(text(events.back().body), body);
}

TEST(CurlTransport, KeepsConnectionsAlive) {
  ScriptedServer server([&](const std::string& request) {
    if (request.find("GET /busy ") == 0) {
      return Reply{"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 5\r\n\r\nsorry"};
    }
    return Reply{http_ok("hello")};
  });
  CurlTransport transport;
  EXPECT_TRUE(last_event(transport, get(server.url("/a"))).headers.new_connection);
  const TransferEvent busy = last_event(transport, get(server.url("/busy")));
  ASSERT_EQ(busy.kind, Kind::kFailed);
  EXPECT_EQ(busy.failure.http_status, 503);
  EXPECT_TRUE(busy.failure.retryable);
  EXPECT_EQ(busy.failure.retry_after, std::chrono::seconds(2));
  EXPECT_TRUE(busy.body.empty());
  EXPECT_FALSE(last_event(transport, get(server.url("/b"))).headers.new_connection);
  EXPECT_EQ(server.connections(), 1u);
}

TEST(CurlTransport, AsksForRangesAndHeaders) {
  std::string seen;
  ScriptedServer server([&](const std::string& request) {
    seen = request;
    return Reply{
        "HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789"};
  });
  CurlTransport transport;
  TransferRequest request = get(server.url("/o"));
  request.range = ByteRange{5, 9};
  request.headers = {"If-Range: \"abc\""};
  const TransferEvent event = last_event(transport, request);
  EXPECT_EQ(text(event.body), "56789");
  EXPECT_EQ(event.headers.range_first, 5u);
  EXPECT_EQ(event.headers.range_total, 10u);
  EXPECT_NE(seen.find("\r\nRange: bytes=5-9\r\n"), std::string::npos);
  EXPECT_NE(seen.find("\r\nIf-Range: \"abc\"\r\n"), std::string::npos);
}

TEST(CurlTransport, HandsOverWhatCameOfATruncatedBody) {
  ScriptedServer server([&](const std::string&) {
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + std::string(40, 'x'),
                 Then::kClose};
  });
  CurlTransport transport;
  const TransferEvent event = last_event(transport, get(server.url("/o")));
  ASSERT_EQ(event.kind, Kind::kFailed);
  EXPECT_TRUE(event.failure.retryable);
  EXPECT_NE(event.failure.curl_code, 0);
  EXPECT_EQ(event.body.size(), 40u);
}

TEST(CurlTransport, ReportsResetsAsRetryable) {
  ScriptedServer server([&](const std::string&) {
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", Then::kReset};
  });
  CurlTransport transport;
  const TransferEvent event = last_event(transport, get(server.url("/o")));
  ASSERT_EQ(event.kind, Kind::kFailed);
  EXPECT_TRUE(event.failure.retryable);
  EXPECT_LE(event.body.size(), 4u);
}

TEST(CurlTransport, NeverTakesMoreThanTheLimit) {
  for (const std::string head :
       {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n"}) {
    ScriptedServer server([&](const std::string&) {
      return Reply{head + std::string(1001, 'x') + "\r\n0\r\n\r\n", Then::kClose};
    });
    CurlTransport transport;
    TransferRequest request = get(server.url("/o"));
    request.size_limit_bytes = 1000;
    const TransferEvent event = last_event(transport, request);
    ASSERT_EQ(event.kind, Kind::kFailed);
    EXPECT_TRUE(event.failure.too_long) << event.failure.message;
    EXPECT_FALSE(event.failure.retryable);
    EXPECT_LE(event.body.size(), 1000u);
  }
}

// The body is 10,000 zeros, gzipped.
TEST(CurlTransport, CountsDecodedBytesOfACompressedBody) {
  const std::string gzip(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7\x4f\x6d\x0e"
      "\x37"
      "\xa0\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe0\xdf\x00\x2e\xca\x3b\x4d\x10\x27\x00\x00",
      45);
  ScriptedServer server(
      [&](const std::string&) { return Reply{http_ok(gzip, "Content-Encoding: gzip\r\n")}; });
  CurlTransport transport;
  TransferRequest request = get(server.url("/m"));
  request.accept_compressed = true;
  request.size_limit_bytes = 10'000;
  const TransferEvent whole = last_event(transport, request);
  EXPECT_EQ(whole.kind, Kind::kDone) << whole.failure.message;
  EXPECT_EQ(whole.body, std::vector<std::byte>(10'000));
  request.size_limit_bytes = 9'999;
  EXPECT_TRUE(last_event(transport, request).failure.too_long);
}

TEST(CurlTransport, TellsWhatMayWorkLaterFromWhatNeverWill) {
  const std::map<int, bool> retryable = {{403, false}, {404, false}, {408, true}, {410, false},
                                         {416, false}, {429, true},  {500, true}, {503, true}};
  int status = 0;
  ScriptedServer server([&](const std::string&) {
    return Reply{"HTTP/1.1 " + std::to_string(status) + " No\r\nContent-Length: 0\r\n\r\n"};
  });
  CurlTransport transport;
  for (const auto& [code, expected] : retryable) {
    status = code;
    const TransferEvent event = last_event(transport, get(server.url("/o")));
    EXPECT_EQ(event.failure.http_status, code);
    EXPECT_EQ(event.failure.retryable, expected) << code;
  }
}

TEST(CurlTransport, BreaksOffWhatStalls) {
  ScriptedServer server([&](const std::string& request) {
    if (request.find("GET /silent ") == 0) return Reply{"", Then::kHang};
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", Then::kHang};
  });
  CurlTransport transport;
  TransferRequest stalls = get(server.url("/o"));
  stalls.stall_limit = std::chrono::milliseconds(50);
  const TransferEvent stalled = last_event(transport, stalls);
  ASSERT_EQ(stalled.kind, Kind::kFailed);
  EXPECT_TRUE(stalled.failure.retryable);
  EXPECT_EQ(stalled.failure.message, "no byte for 50 ms");
  EXPECT_EQ(stalled.body.size(), 10u);
  TransferRequest silent = get(server.url("/silent"));
  silent.first_byte_limit = std::chrono::milliseconds(50);
  const TransferEvent unanswered = last_event(transport, silent);
  ASSERT_EQ(unanswered.kind, Kind::kFailed);
  EXPECT_EQ(unanswered.failure.message, "no response within 50 ms");
}

TEST(CurlTransport, OpensAtMostSoManyConnections) {
  ScriptedServer server([&](const std::string& request) {
    if (request.find("GET /hang ") == 0) return Reply{"", Then::kHang};
    return Reply{http_ok("hello")};
  });
  CurlTransportParams params;
  params.max_connections = 2;
  CurlTransport transport(params);
  TransferRequest hang = get(server.url("/hang"));
  hang.first_byte_limit = std::chrono::milliseconds(80);
  transport.start(hang);
  transport.start(hang);
  const TransferId third = transport.start(get(server.url("/o")));
  const auto events = drain(transport, 3);
  size_t failed = 0;
  for (const TransferEvent& event : events) {
    failed += event.kind == Kind::kFailed;
    EXPECT_TRUE(event.id != third || failed > 0) << "the third must wait for a place";
  }
  EXPECT_EQ(failed, 2u) << "the third succeeds";
}

TEST(CurlTransport, RefusesOtherProtocolsAndBadRequests) {
  CurlTransport transport;
  for (const std::string url :
       {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "", "::"}) {
    const TransferEvent event = last_event(transport, get(url));
    EXPECT_EQ(event.kind, Kind::kFailed) << url;
    EXPECT_FALSE(event.failure.message.empty());
  }
  TransferRequest injected = get("http://127.0.0.1/");
  injected.headers = {"X: y\r\nHost: elsewhere"};
  EXPECT_EQ(last_event(transport, injected).failure.message, "a request header holds a line end");
}

TEST(CurlTransport, FollowsAFewRedirectsButOnlyToHttp) {
  std::string location;
  ScriptedServer server([&](const std::string& request) {
    if (request.find("GET /end ") == 0) return Reply{http_ok("there")};
    return Reply{"HTTP/1.1 302 Found\r\nContent-Length: 3\r\nLocation: " + location +
                 "\r\n\r\nxyz"};
  });
  CurlTransport transport;
  location = server.url("/end");
  EXPECT_EQ(text(last_event(transport, get(server.url("/o"))).body), "there");
  location = server.url("/o");
  EXPECT_EQ(last_event(transport, get(server.url("/o"))).kind, Kind::kFailed);
  location = "file:///etc/passwd";
  const TransferEvent file = last_event(transport, get(server.url("/o")));
  EXPECT_EQ(file.kind, Kind::kFailed);
  EXPECT_TRUE(file.body.empty());
}

TEST(CurlTransport, ARefusedConnectionIsRetryable) {
  std::string url;
  {
    ScriptedServer gone([](const std::string&) { return Reply{}; });
    url = gone.url("/o");
  }
  CurlTransport transport;
  const TransferEvent event = last_event(transport, get(url));
  ASSERT_EQ(event.kind, Kind::kFailed);
  EXPECT_TRUE(event.failure.retryable);
  EXPECT_EQ(event.failure.http_status, 0);
}

TEST(CurlTransport, WakesFromAnotherThread) {
  CurlTransport transport;
  const int64_t begin = transport.now_ns();
  std::thread other([&] { transport.wake(); });
  EXPECT_TRUE(transport.poll(2 * kLong).empty());
  other.join();
  EXPECT_LT(transport.now_ns() - begin, std::chrono::nanoseconds(kLong).count());
}

TEST(CurlTransport, ACancelledTransferIsSilent) {
  ScriptedServer server([&](const std::string&) {
    return Reply{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", Then::kHang};
  });
  CurlTransport transport;
  const TransferId id = transport.start(get(server.url("/o")));
  EXPECT_FALSE(transport.poll(kLong).empty());
  transport.cancel(id);
  transport.cancel(transport.start(get(server.url("/o"))));
  EXPECT_TRUE(transport.poll(std::chrono::milliseconds(20)).empty());
}

// The whole stack over real sockets: reset, cut short, busy, corrupt, then right.
TEST(CurlTransport, CarriesADownloadThroughFaults) {
  std::string object;
  for (int i = 0; i < 100'000; ++i) object += static_cast<char>(i * 31 % 251);
  int calls = 0;
  ScriptedServer server([&](const std::string& request) {
    size_t first = 0;
    const size_t range = request.find("Range: bytes=");
    if (range != std::string::npos) first = std::stoul(request.substr(range + 13));
    std::string head = first > 0 ? "HTTP/1.1 206 Partial\r\nContent-Range: bytes " +
                                       std::to_string(first) + "-99999/100000\r\n"
                                 : "HTTP/1.1 200 OK\r\n";
    head += "ETag: \"e\"\r\nContent-Length: " + std::to_string(object.size() - first) + "\r\n\r\n";
    std::string body = object.substr(first);
    switch (++calls) {
      case 1:
        return Reply{head, Then::kReset};
      case 2:
        return Reply{head + body.substr(0, 30'000), Then::kClose};
      case 3:
        return Reply{"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"};
      case 4:
        body[5] ^= 1;
        break;
      default:
        break;
    }
    return Reply{head + body};
  });
  CurlTransport transport;
  DownloaderParams params;
  params.backoff_first = std::chrono::milliseconds(1);
  Downloader downloader(transport, params);
  ASSERT_TRUE(downloader.set_bases(server.url("/t/public/m/x.json"), {}).ok());
  DownloadRequest request;
  request.name = "chunk 0 plane 0";
  request.object.emplace();
  const auto bytes = std::as_bytes(std::span(object));
  request.object->digest = manifests::sha256(bytes);
  request.object->bytes = object.size();
  downloader.start(request);
  std::vector<DownloadEvent> events;
  while (downloader.running() + downloader.queued() > 0) {
    for (DownloadEvent& event : downloader.poll(kLong)) events.push_back(std::move(event));
  }
  ASSERT_FALSE(events.empty());
  ASSERT_EQ(events.back().kind, DownloadEvent::Kind::kComplete);
  EXPECT_EQ(text(events.back().bytes), object);
  EXPECT_EQ(events.back().attempt, 5u);
}

}  // namespace
}  // namespace kvcast::player
