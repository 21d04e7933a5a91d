// Plays from a server over real sockets that misbehaves at random. Times are the machine's, so only
// bytes and what is given back are judged.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "player/chaos/course.h"
#include "player/chaos/resources.h"
#include "player/curl_transport.h"
#include "player/transport/scripted_server.h"

namespace kvcast::player {
namespace {

using manifests::Result;

// Answers as a server would, or misbehaves, over real sockets.
ScriptedServer::Reply misbehave(const Sample& of, const std::string& request,
                                std::mt19937_64& random, uint64_t fault_percent) {
  using Then = ScriptedServer::Then;
  const size_t begin = request.find(' ') + 1;
  const std::string path = request.substr(begin, request.find(' ', begin) - begin);
  const auto file = of.files.find("http://store.test" + path);
  if (file == of.files.end()) return {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
  std::string body(reinterpret_cast<const char*>(file->second.data()), file->second.size());
  std::string status = "200 OK", more;
  const size_t range = request.find("Range: bytes=");
  if (range != std::string::npos) {
    const uint64_t first = std::stoull(request.substr(range + 13));
    more = fmt::format("Content-Range: bytes {}-{}/{}\r\n", first, body.size() - 1, body.size());
    body.erase(0, first);
    status = "206 Partial Content";
  }
  const std::string whole =
      fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n", status, body.size(), more) + body;
  if (path.ends_with(".json") || random() % 100 >= fault_percent) {
    if (request.starts_with("HEAD")) return {whole.substr(0, whole.size() - body.size())};
    return {whole};
  }
  const std::string cut = whole.substr(0, random() % (whole.size() + 1));
  switch (random() % 6) {
    case 0:
      return {cut, Then::kReset};
    case 1:
      return {cut, Then::kHang};
    case 2:
      return {cut, Then::kClose};
    case 3:
      return {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 0\r\n\r\n"};
    case 4:
      return {"nonsense\r\n\r\n", Then::kClose};
    default: {
      std::string corrupt = whole;
      corrupt.back() = static_cast<char>(corrupt.back() ^ 1);
      return {corrupt};
    }
  }
}

class InstantEngine final : public Recompute {
 public:
  explicit InstantEngine(const Sample& truth) : truth_(truth) {}
  Result<RecomputeOutcome> prefill(const RecomputeTask& task, std::stop_token) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (size_t i = 0; i < task.result.size(); ++i) {
      const size_t row = truth_.row_bytes(i);
      std::memcpy(task.result[i].data, truth_.tensors[i].data() + task.begin * row,
                  (task.end - task.begin) * row);
    }
    return RecomputeOutcome{false, 0.02};
  }

 private:
  const Sample& truth_;
};

void play_round(const Sample& of, std::mt19937_64& random) {
  const uint64_t fault_percent = random() % 80;
  ScriptedServer server(
      [&](const std::string& request) { return misbehave(of, request, random, fault_percent); });
  CurlTransport transport;
  InstantEngine engine(of);
  MaybeFullSink sink(false);
  Source source;
  source.manifest_url = server.url("/t/public/m/sample.json");
  PlayParams params;
  params.ttft_slo_ms = 400;
  const auto report = play(transport, source, params, sink, &engine);
  ASSERT_TRUE(report.ok()) << report.error().message;
  for (uint32_t c = 0; c < report->chunks.size(); ++c) {
    const auto rows = rows_of(of, sink, c);
    const bool right = report->chunks[c].recomputed
                           ? rows == true_rows(of, c)
                           : rows == clean_rows()[*report->chunks[c].level][c];
    EXPECT_TRUE(right) << "chunk " << c;
  }
}

TEST(Chaos, ARealServerThatMisbehavesIsPlayedToTheEnd) {
  const Sample& of = chaos_sample(true, 1);
  std::mt19937_64 random(4);
  play_round(of, random);  // libraries set up what they keep
  for (int round = 1; round < 12; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const Resources before = resources_now();
    play_round(of, random);
    const Resources after = resources_when_back(before);
    EXPECT_LE(after.descriptors, before.descriptors);
    EXPECT_LE(after.threads, before.threads);
  }
}

}  // namespace
}  // namespace kvcast::player
