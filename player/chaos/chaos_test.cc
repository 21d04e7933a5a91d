// Plays on networks and servers that misbehave at random. Whatever happens, a play ends in time,
// with the right bytes or an honest error. KVCAST_CHAOS_SEED=N plays one schedule and prints its
// events.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "player/chaos/network.h"
#include "player/chaos/schedule.h"
#include "player/curl_transport.h"
#include "player/player.h"
#include "player/testing/sample_presentation.h"
#include "player/transport/scripted_server.h"

namespace kvcast::player {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

constexpr uint64_t kSchedules = 500;
constexpr double kPatience_s = 0.25;
constexpr double kMostPatience_s = 2;  // where first bytes are slow: four of them, at most this
constexpr double kSlack_s = 0.012;     // a tick of the play and a step of the network

// The sample with and without text, and with the second base named.
const Sample& sample(bool text, uint32_t bases) {
  static std::map<std::pair<bool, uint32_t>, Sample> samples;
  auto [found, is_new] = samples.try_emplace({text, bases});
  if (!is_new) return found->second;
  SampleParams params;
  params.text = text;
  Sample& made = found->second;
  made = make_sample(params);
  if (bases == 1) return made;
  made.manifest.base_urls = {{"../", 1, 1}, {"http://b.test/t/public/", 2, 1}};
  const std::string json = manifests::write_manifest(made.manifest);
  const auto* bytes = reinterpret_cast<const std::byte*>(json.data());
  made.files[made.manifest_url()].assign(bytes, bytes + json.size());
  return made;
}

class MaybeFullSink final : public HostKvSink {
 public:
  explicit MaybeFullSink(bool full) : full_(full) {}
  manifests::Status prepare(const KvShape& shape, const manifests::KvFileInfo& about) override {
    if (full_) return Error{ErrorKind::kIo, "the sink is full"};
    return HostKvSink::prepare(shape, about);
  }
  void layer_ready(uint32_t) override { ++layers; }
  uint32_t layers = 0;

 private:
  bool full_;
};

// Takes virtual time, and answers with the KV the sample was packed from.
class VirtualEngine final : public Recompute {
 public:
  VirtualEngine(const Sample& truth, const Schedule& schedule, ChaosNetwork& network)
      : truth_(truth), schedule_(schedule), network_(network) {}

  Result<RecomputeOutcome> prefill(const RecomputeTask& task, std::stop_token stop) override {
    const bool fails = schedule_.engine_fails_from && task.begin >= *schedule_.engine_fails_from;
    const double seconds = fails ? 0.002 : schedule_.engine_s_per_chunk;
    if (!network_.engine_sleeps(seconds, stop)) return RecomputeOutcome{true, seconds};
    if (fails) return Error{ErrorKind::kIo, "the engine is gone"};
    for (size_t i = 0; i < task.result.size(); ++i) {
      const size_t row = truth_.row_bytes(i);
      std::memcpy(task.result[i].data, truth_.tensors[i].data() + task.begin * row,
                  (task.end - task.begin) * row);
    }
    last_end_s = network_.now_s();
    return RecomputeOutcome{false, seconds};
  }
  double last_end_s = 0;

 private:
  const Sample& truth_;
  const Schedule& schedule_;
  ChaosNetwork& network_;
};

std::vector<std::byte> rows_of(const Sample& of, const HostKvSink& sink, uint32_t chunk) {
  const manifests::ChunkEntry& entry = of.manifest.chunks[chunk];
  std::vector<std::byte> rows;
  for (size_t i = 0; i < of.tensors.size(); ++i) {
    const auto tensor =
        sink.tensor(static_cast<uint32_t>(i / 2), static_cast<kernels::Side>(i % 2));
    const size_t row = of.row_bytes(i);
    const auto part =
        tensor.subspan(entry.token_begin * row, (entry.token_end - entry.token_begin) * row);
    rows.insert(rows.end(), part.begin(), part.end());
  }
  return rows;
}

std::vector<std::byte> true_rows(const Sample& of, uint32_t chunk) {
  const manifests::ChunkEntry& entry = of.manifest.chunks[chunk];
  std::vector<std::byte> rows;
  for (size_t i = 0; i < of.tensors.size(); ++i) {
    const size_t row = of.row_bytes(i);
    const auto begin = of.tensors[i].begin();
    rows.insert(rows.end(), begin + static_cast<ptrdiff_t>(entry.token_begin * row),
                begin + static_cast<ptrdiff_t>(entry.token_end * row));
  }
  return rows;
}

struct Played {
  Result<PlayReport> report = Error{};
  double end_s = 0, last_byte_s = 0, last_engine_s = 0;
  uint32_t faults = 0;
  bool manifest_came = false;
  std::vector<std::vector<std::byte>> rows;  // by chunk
  uint32_t layers = 0;
};

Played play_schedule(const Schedule& schedule, const std::string& controller = "layered") {
  const Sample& of = sample(schedule.text, schedule.bases);
  ChaosNetwork network(of.files, schedule);
  VirtualEngine engine(of, schedule, network);
  MaybeFullSink sink(schedule.sink_full);
  Source source;
  source.manifest_url = of.manifest_url();
  PlayParams params;
  params.controller = controller;
  params.ttft_slo_ms = schedule.slo_ms;
  params.min_level = schedule.min_level;
  params.decode_threads = 0;
  params.start_ns = 0;
  params.download.seed = schedule.seed;
  Played played;
  const auto on_event = [&](const PlayEvent& event) {
    if (event.what == "recompute") network.engine_works();
    if (event.what == "recompute_stop") network.engine_stops();
    if (event.what == "complete") played.manifest_came = true;
    if (std::getenv("KVCAST_CHAOS_SEED") != nullptr) {
      fmt::print(stderr, "{}\n", event_json(event));
    }
  };
  played.report =
      play(network, source, params, sink, schedule.engine ? &engine : nullptr, on_event);
  played.end_s = network.now_s();
  played.last_byte_s = network.last_byte_s();
  played.last_engine_s = engine.last_end_s;
  played.faults = network.faults();
  played.layers = sink.layers;
  if (!played.report) return played;
  for (uint32_t c = 0; c < of.manifest.chunks.size(); ++c) {
    played.rows.push_back(rows_of(of, sink, c));
  }
  return played;
}

// [level][chunk], of plays in which nothing went wrong.
const std::vector<std::vector<std::vector<std::byte>>>& clean_rows() {
  static const auto all = [] {
    std::vector<std::vector<std::vector<std::byte>>> rows;
    for (uint32_t level = 0; level < sample(true, 1).manifest.levels; ++level) {
      Schedule calm;
      calm.slo_ms = 20'000;
      calm.engine = false;
      const Played played = play_schedule(calm, fmt::format("fixed:{}", level));
      EXPECT_TRUE(played.report.ok());
      rows.push_back(played.rows);
    }
    return rows;
  }();
  return all;
}

// No play waits on when the deadline has passed and nothing moves.
void expect_no_hang(const Schedule& schedule, const Played& played) {
  const bool slow = !schedule.vanished[0].empty() || !schedule.vanished[1].empty() ||
                    std::find(schedule.faults.begin(), schedule.faults.end(),
                              Fault::kSlowHeaders) != schedule.faults.end();
  const double patience_s = slow ? kMostPatience_s : kPatience_s;
  const double moved_s =
      std::max({schedule.slo_ms * 1e-3, played.last_byte_s, played.last_engine_s});
  EXPECT_LE(played.end_s, moved_s + patience_s + kSlack_s);
}

void expect_right_bytes(const Schedule& schedule, const Played& played) {
  const Sample& of = sample(schedule.text, schedule.bases);
  const PlayReport& report = *played.report;
  EXPECT_EQ(played.layers, of.manifest.model.layers);
  ASSERT_EQ(report.chunks.size(), of.manifest.chunks.size());
  for (uint32_t c = 0; c < report.chunks.size(); ++c) {
    if (report.chunks[c].recomputed) {
      EXPECT_TRUE(played.rows[c] == true_rows(of, c)) << "chunk " << c << ", recomputed";
    } else {
      ASSERT_GE(*report.chunks[c].level, schedule.min_level);
      EXPECT_TRUE(played.rows[c] == clean_rows()[*report.chunks[c].level][c])
          << "chunk " << c << " at level " << *report.chunks[c].level;
    }
  }
}

// Text is enough: whoever has an engine, the tokens and the shape of the cache needs no network.
bool text_is_enough(const Schedule& schedule, const Played& played) {
  return schedule.engine && schedule.text && !schedule.engine_fails_from && played.manifest_came &&
         schedule.manifest_spared && !schedule.sink_full;
}

TEST(Chaos, PlaysEndInTimeWithTheRightBytesOrAnHonestError) {
  uint32_t done = 0, met = 0, failed = 0, recomputed = 0, died = 0;
  const char* only = std::getenv("KVCAST_CHAOS_SEED");
  for (uint64_t seed = 0; seed < kSchedules; ++seed) {
    if (only != nullptr && std::to_string(seed) != only) continue;
    const Schedule schedule = draw_schedule(seed);
    SCOPED_TRACE(schedule.describe());
    const Played played = play_schedule(schedule);
    expect_no_hang(schedule, played);
    if (played.report) {
      ++done;
      met += played.report->met;
      recomputed += played.report->recomputed_tokens > 0;
      died += schedule.dead_from_s && played.report->recomputed_tokens > 0;
      expect_right_bytes(schedule, played);
      continue;
    }
    ++failed;
    const Error& error = played.report.error();
    EXPECT_FALSE(error.message.empty());
    EXPECT_EQ(played.layers, 0u) << "nothing was handed over";
    EXPECT_FALSE(text_is_enough(schedule, played)) << error.message;
    EXPECT_TRUE(schedule.sink_full || played.faults > 0 || played.end_s > schedule.slo_ms * 1e-3)
        << error.message;
    if (schedule.sink_full && played.manifest_came) {
      EXPECT_NE(error.message.find("sink is full"), std::string::npos) << error.message;
    } else if (schedule.fault_rate == 0 && !schedule.engine_fails_from) {
      // Nothing was refused or corrupt: the time is what ran out.
      EXPECT_EQ(error.kind, ErrorKind::kPromise) << error.message;
    }
  }
  std::printf(
      "%u done (%u in time, %u with recomputed chunks, %u past a dead network), %u failed\n", done,
      met, recomputed, died, failed);
  if (only != nullptr) return;
  EXPECT_GT(done, kSchedules / 3);
  EXPECT_GT(failed, kSchedules / 50) << "schedules have become harmless";
  EXPECT_GT(died, 10u);
}

TEST(Chaos, TheSameScheduleTakesTheSameCourse) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const Schedule schedule = draw_schedule(seed);
    const Played a = play_schedule(schedule), b = play_schedule(schedule);
    EXPECT_EQ(a.report.ok(), b.report.ok()) << schedule.describe();
    EXPECT_EQ(a.layers, b.layers);
  }
}

TEST(Chaos, ADeadNetworkWithoutAnEngineEndsInABrokenPromise) {
  Schedule schedule;
  schedule.slo_ms = 600;
  schedule.rates = {{0, 20e3}};
  schedule.dead_from_s = 0.1;
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_FALSE(played.report.ok());
  EXPECT_EQ(played.report.error().kind, ErrorKind::kPromise) << played.report.error().message;
  EXPECT_GE(played.end_s, 0.6);
  EXPECT_LE(played.end_s, 0.6 + kPatience_s + kSlack_s);
}

TEST(Chaos, ADeadNetworkWithAnEngineIsMetByText) {
  Schedule schedule;
  schedule.slo_ms = 1500;
  schedule.rates = {{0, 60e3}};
  schedule.dead_from_s = 0.4;
  schedule.engine_s_per_chunk = 0.05;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  expect_right_bytes(schedule, played);
}

TEST(Chaos, AnOriginRestartedInTimeCostsNothingButTime) {
  Schedule schedule;
  schedule.slo_ms = 2000;
  schedule.rates = {{0, 200e3}};
  schedule.killed[0] = {{0.1, 0.7}};
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  EXPECT_GT(played.report->retries, 0u);
  expect_right_bytes(schedule, played);
}

TEST(Chaos, ABaseThatIsGoneIsReplacedByTheOther) {
  Schedule schedule;
  schedule.slo_ms = 1000;
  schedule.bases = 2;
  schedule.rates = {{0, 400e3}};
  schedule.vanished[0] = {{0.05, 100}};
  schedule.engine = false;
  const Played played = play_schedule(schedule);
  ASSERT_TRUE(played.report.ok()) << played.report.error().message;
  EXPECT_TRUE(played.report->met);
  expect_right_bytes(schedule, played);
}

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

TEST(Chaos, ARealServerThatMisbehavesIsPlayedToTheEnd) {
  const Sample& of = sample(true, 1);
  std::mt19937_64 random(4);
  for (int round = 0; round < 12; ++round) {
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
      EXPECT_TRUE(right) << "round " << round << ", chunk " << c;
    }
  }
}

}  // namespace
}  // namespace kvcast::player
