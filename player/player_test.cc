#include "player/player.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "player/testing/sample_presentation.h"
#include "player/testing/scripted_store.h"

namespace kvcast::player {
namespace {

using kernels::Side;
using manifests::ErrorKind;
using testing::HasSubstr;

class CountingSink final : public HostKvSink {
 public:
  void chunk_ready(uint64_t begin, uint64_t /*end*/) override {
    EXPECT_TRUE(layers.empty()) << "a chunk changed after a layer was handed over";
    chunks.insert(begin);
  }
  void layer_ready(uint32_t layer) override {
    EXPECT_TRUE(layers.insert(layer).second) << "layer " << layer << " came twice";
  }
  std::set<uint64_t> chunks;
  std::set<uint32_t> layers;
};

// Answers with the KV the sample was packed from.
class TruthEngine final : public Recompute {
 public:
  explicit TruthEngine(const Sample& sample) : sample_(sample) {}

  manifests::Result<RecomputeOutcome> prefill(const RecomputeTask& task,
                                              std::stop_token stop) override {
    if (task.begin >= fails_from) return manifests::Error{ErrorKind::kIo, "the engine is gone"};
    EXPECT_EQ(task.tokens.size(), task.end);
    begins.push_back(task.begin);
    while (task.begin >= blocks_from && !stop.stop_requested()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    for (size_t i = 0; i < task.result.size(); ++i) {
      const size_t row = sample_.row_bytes(i);
      // A cancelled task leaves rubbish.
      if (stop.stop_requested()) {
        std::memset(task.result[i].data, 0xEE, (task.end - task.begin) * row);
      } else {
        std::memcpy(task.result[i].data, sample_.tensors[i].data() + task.begin * row,
                    (task.end - task.begin) * row);
      }
    }
    done = task.end;
    return RecomputeOutcome{stop.stop_requested(), 1e-4};
  }

  uint64_t blocks_from = UINT64_MAX, fails_from = UINT64_MAX;
  std::vector<uint64_t> begins;
  std::atomic<uint64_t> done = 0;

 private:
  const Sample& sample_;
};

class PlayTest : public testing::Test {
 protected:
  manifests::Result<PlayReport> run(const Sample& sample, ScriptedStore& store,
                                    Recompute* engine = nullptr, std::stop_token stop = {}) {
    Source source;
    source.manifest_url = sample.manifest_url();
    params_.download.backoff_first = std::chrono::milliseconds(1);
    sink_.layers.clear();
    const auto keep = [this](const PlayEvent& event) { events_.push_back(event); };
    return play(store, source, params_, sink_, engine, keep, stop);
  }

  // The chunk holds the sample's KV bit for bit.
  bool is_true(const Sample& sample, uint32_t chunk) const {
    for (size_t i = 0; i < sample.tensors.size(); ++i) {
      const size_t begin = sample.manifest.chunks[chunk].token_begin * sample.row_bytes(i);
      const size_t end = sample.manifest.chunks[chunk].token_end * sample.row_bytes(i);
      const auto got = sink_.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
      if (std::memcmp(got.data() + begin, sample.tensors[i].data() + begin, end - begin) != 0) {
        return false;
      }
    }
    return true;
  }

  std::vector<std::byte> rows(const Sample& sample, uint64_t begin, uint64_t end) const {
    std::vector<std::byte> all;
    for (size_t i = 0; i < sample.tensors.size(); ++i) {
      const auto tensor = sink_.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
      const auto part =
          tensor.subspan(begin * sample.row_bytes(i), (end - begin) * sample.row_bytes(i));
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }

  // Relative squared error of a chunk.
  double error(const Sample& sample, uint32_t chunk) const {
    double squares = 0, energy = 0;
    for (size_t i = 0; i < sample.tensors.size(); ++i) {
      const size_t begin = sample.manifest.chunks[chunk].token_begin * sample.row_bytes(i);
      const size_t bytes = sample.manifest.chunk_tokens * sample.row_bytes(i);
      const auto got = sink_.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
      std::vector<float> a(bytes / 2), b(bytes / 2);
      kernels::load_f32(kernels::DType::kBf16, got.data() + begin, a);
      kernels::load_f32(kernels::DType::kBf16, sample.tensors[i].data() + begin, b);
      for (size_t k = 0; k < a.size(); ++k) {
        squares += (a[k] - b[k]) * (a[k] - b[k]);
        energy += b[k] * b[k];
      }
    }
    return squares / energy;
  }

  void expect_handed_over(const Sample& sample) {
    EXPECT_EQ(sink_.layers.size(), sample.manifest.model.layers);
    for (uint32_t c = 0; c < sample.manifest.chunks.size(); ++c) {
      EXPECT_TRUE(sink_.chunks.contains(sample.manifest.chunks[c].token_begin));
      EXPECT_LT(error(sample, c), 0.5) << "chunk " << c;
    }
  }

  PlayParams params_ = [] {
    PlayParams params;
    params.ttft_slo_ms = 20'000;
    params.download.hedge_byte_share = 0;  // of a busy machine's time, which is real here
    return params;
  }();
  CountingSink sink_;
  std::vector<PlayEvent> events_;
};

TEST_F(PlayTest, FetchesEveryPlaneWhenThereIsTime) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  const auto report = run(sample, store);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->met);
  expect_handed_over(sample);
  ASSERT_EQ(report->chunks.size(), 4u);
  for (uint32_t c = 0; c < 4; ++c) {
    EXPECT_EQ(report->chunks[c].level, 3u);
    EXPECT_FALSE(report->chunks[c].recomputed);
    EXPECT_NEAR(report->chunks[c].quality, 1 - sample.manifest.chunks[c].planes[3].distortion,
                1e-6);
    EXPECT_LT(error(sample, c), 0.01);
  }
  EXPECT_EQ(report->raw_bytes, sample.manifest.raw_bytes);
  uint64_t bytes = 0;
  for (const auto& [url, file] : sample.files) bytes += file.size();
  for (uint32_t c = 0; c < 4; ++c) bytes -= sample.manifest.chunks[c].exact->bytes;
  EXPECT_EQ(report->bytes_fetched, bytes);
  EXPECT_EQ(report->bytes_unused, 0u);
  EXPECT_EQ(sink_.about().token_ids, sample.tokens);
}

TEST_F(PlayTest, BasesComeFromTheBackBeforeUpgrades) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.connections = 1;
  ASSERT_TRUE(run(sample, store));
  const std::vector<std::string>& urls = store.requested();
  ASSERT_GE(urls.size(), 6u);
  for (uint32_t i = 0; i < 4; ++i) EXPECT_EQ(urls[2 + i], sample.plane_url(3 - i, 0));
}

TEST_F(PlayTest, LevelsAreBounded) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.max_level = 1;
  const auto report = run(sample, store);
  ASSERT_TRUE(report);
  for (const ChunkReport& chunk : report->chunks) EXPECT_EQ(chunk.level, 1u);
  params_.min_level = 9;
  EXPECT_EQ(run(sample, store).error().kind, ErrorKind::kUsage);
}

TEST_F(PlayTest, FinishesEarlyAtTheFloor) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.finish_early = true;
  params_.min_level = 1;
  const auto report = run(sample, store);
  ASSERT_TRUE(report);
  for (const ChunkReport& chunk : report->chunks) EXPECT_EQ(chunk.level, 1u);
}

TEST_F(PlayTest, ExactObjectsComeBackBitForBit) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.exact = true;
  const auto report = run(sample, store);
  ASSERT_TRUE(report) << report.error().message;
  for (uint32_t c = 0; c < 4; ++c) {
    EXPECT_TRUE(is_true(sample, c));
    EXPECT_TRUE(report->chunks[c].exact);
  }
  EXPECT_DOUBLE_EQ(report->quality, 1);
}

TEST_F(PlayTest, RecomputesFromTheFrontWhileTheNetworkIsSilent) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  store.held = [&](const std::string& url) { return url != sample.manifest_url(); };
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(engine.begins, testing::ElementsAre(0, 32, 64, 96));
  EXPECT_EQ(report->recomputed_tokens, 128u);
  for (uint32_t c = 0; c < 4; ++c) EXPECT_TRUE(is_true(sample, c));
  EXPECT_DOUBLE_EQ(report->quality, 1);
  EXPECT_EQ(sink_.layers.size(), 3u);
}

TEST_F(PlayTest, MeetsInTheMiddleAndACancelledRecomputeLeavesTheFetchedChunk) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  TruthEngine engine(sample);
  engine.blocks_from = 64;                    // the engine stops in chunk 2
  store.held = [&](const std::string& url) {  // the network brings chunks 2 and 3, then
    for (const uint32_t c : {0u, 1u}) {
      for (const uint32_t n : {0u, 1u, 2u, 3u}) {
        if (url == sample.plane_url(c, n)) return true;
      }
    }
    return engine.done < 64 && url != sample.manifest_url();
  };
  params_.ttft_slo_ms = 400;
  params_.max_level = 0;
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->recomputed_tokens, 64u);
  EXPECT_TRUE(is_true(sample, 0));
  EXPECT_TRUE(is_true(sample, 1));
  EXPECT_GT(report->gpu_seconds, 0);
  expect_handed_over(sample);
  // Chunks 2 and 3 are what the network alone would have brought.
  const std::vector<std::byte> got = rows(sample, 64, 128);
  ScriptedStore open_store(sample.files);
  ASSERT_TRUE(run(sample, open_store));
  EXPECT_EQ(got, rows(sample, 64, 128));
}

TEST_F(PlayTest, AMissingBaseIsRecomputed) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  store.files().erase(sample.plane_url(2, 0));
  params_.gpu_seconds_price = 1e9;  // only where there is no other way
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->chunks[2].recomputed);
  EXPECT_TRUE(is_true(sample, 2));
  expect_handed_over(sample);
}

TEST_F(PlayTest, AMissingBaseWithoutAnEngineIsAnErrorThatSaysWhich) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  store.files().erase(sample.plane_url(2, 0));
  const auto report = run(sample, store);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::kIo);
  EXPECT_THAT(report.error().message, HasSubstr("chunk 2 (tokens 64 to 96)"));
  EXPECT_TRUE(sink_.layers.empty());
}

TEST_F(PlayTest, AMissingUpgradeLeavesALowerLevel) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  store.files().erase(sample.plane_url(1, 2));
  const auto report = run(sample, store);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->chunks[1].level, 1u);
  EXPECT_EQ(report->chunks[0].level, 3u);
}

TEST_F(PlayTest, ACorruptObjectNeverReachesTheSink) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  for (std::byte& byte : store.files()[sample.plane_url(3, 0)]) byte ^= std::byte{0x5A};
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->chunks[3].recomputed);
  EXPECT_TRUE(is_true(sample, 3));
}

TEST_F(PlayTest, APlaneThatDoesNotDecodeIsLeftOut) {
  SampleParams broken;
  broken.damage = [](uint32_t c, uint32_t plane, std::vector<std::byte>& section) {
    if (c == 1 && plane == 2) section.resize(section.size() / 2);
  };
  const Sample sample = make_sample(broken);
  ScriptedStore store(sample.files);
  const auto report = run(sample, store);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->chunks[1].level, 1u);
  expect_handed_over(sample);
}

TEST_F(PlayTest, ABaseThatDoesNotDecodeIsRecomputedOrAnError) {
  SampleParams broken;
  broken.damage = [](uint32_t c, uint32_t plane, std::vector<std::byte>& section) {
    if (c == 2 && plane == 0) section.resize(3);
  };
  const Sample sample = make_sample(broken);
  {
    ScriptedStore store(sample.files);
    const auto report = run(sample, store);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().kind, ErrorKind::kCorrupt);
    EXPECT_THAT(report.error().message, HasSubstr("chunk 2"));
  }
  TruthEngine engine(sample);
  ScriptedStore store(sample.files);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(is_true(sample, 2));
}

TEST_F(PlayTest, ALostProfileLeavesText) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  const std::string digest = sample.manifest.profile.digest.hex();
  std::erase_if(store.files(),
                [&](const auto& file) { return file.first.find(digest) != file.first.npos; });
  EXPECT_EQ(run(sample, store).error().kind, ErrorKind::kIo);
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->recomputed_tokens, 128u);
}

TEST_F(PlayTest, WaitsForAProfileThatComesLast) {
  const Sample sample = make_sample();
  for (const char* controller : {"layered", "fixed:0"}) {
    ScriptedStore store(sample.files);
    int asked = 0;
    store.held = [&](const std::string& url) {
      return url.find(sample.manifest.profile.digest.hex()) != url.npos && ++asked < 40;
    };
    params_.controller = controller;
    params_.ttft_slo_ms = 1;
    params_.download.patience = std::chrono::seconds(60);
    const auto report = run(sample, store);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(asked, 40);
    expect_handed_over(sample);
  }
}

TEST_F(PlayTest, ASecondPlayKnowsHowFastTheFirstOneRecomputed) {
  const Sample sample = make_sample();
  TruthEngine engine(sample);
  PlayHistory history;
  params_.controller = "text";
  params_.history = &history;
  double expected_s[2] = {};
  for (double& expected : expected_s) {
    ScriptedStore store(sample.files);
    events_.clear();
    const auto report = run(sample, store, &engine);
    ASSERT_TRUE(report) << report.error().message;
    const auto first = std::find_if(events_.begin(), events_.end(), [](const PlayEvent& event) {
      return event.what == "recompute";
    });
    ASSERT_NE(first, events_.end());
    expected = first->numbers.front().second;
  }
  EXPECT_EQ(expected_s[0], 0) << "nothing is known of an engine that says nothing";
  EXPECT_GT(expected_s[1], 1e-5);
  EXPECT_LT(expected_s[1], 1e-3) << "it says that a chunk took 0.1 ms";
}

TEST_F(PlayTest, AnEngineThatFailsLeavesTheNetwork) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  TruthEngine engine(sample);
  engine.fails_from = 0;
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->recomputed_tokens, 0u);
  expect_handed_over(sample);
}

TEST_F(PlayTest, ADeadlineThatCannotBeMetIsReportedAndNothingIsMissing) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.ttft_slo_ms = 0.001;
  params_.download.patience = std::chrono::seconds(60);
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->met);
  expect_handed_over(sample);
}

TEST_F(PlayTest, TextAndFixedDoWhatTheyAreNamedFor) {
  const Sample sample = make_sample();
  TruthEngine engine(sample);
  params_.controller = "text";
  {
    ScriptedStore store(sample.files);
    const auto report = run(sample, store, &engine);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->recomputed_tokens, 128u);
  }
  {
    ScriptedStore store(sample.files);
    EXPECT_EQ(run(sample, store).error().kind, ErrorKind::kUsage) << "text without an engine";
  }
  params_.controller = "fixed:2";
  {
    ScriptedStore store(sample.files);
    const auto report = run(sample, store, &engine);
    ASSERT_TRUE(report) << report.error().message;
    for (const ChunkReport& chunk : report->chunks) EXPECT_EQ(chunk.level, 2u);
  }
  params_.controller = "best";
  ScriptedStore store(sample.files);
  EXPECT_EQ(run(sample, store).error().kind, ErrorKind::kUsage);
}

TEST_F(PlayTest, RefusesACacheOfAnotherModel) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.engine.weights = "weights-2";
  const auto report = run(sample, store);
  EXPECT_EQ(report.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(report.error().message, HasSubstr("weights-1"));
  params_.engine.weights = "weights-1";
  params_.engine.geometry = kernels::Geometry{3, 2, 16, 1, 16};
  EXPECT_EQ(run(sample, store).error().kind, ErrorKind::kCorrupt);
  params_.engine.geometry = kernels::Geometry{3, 2, 16, 1, 24};
  EXPECT_TRUE(run(sample, store));
}

TEST_F(PlayTest, RefusesTokensThatAreNotTheContexts) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  Source source;
  source.manifest_url = sample.manifest_url();
  source.tokens = sample.tokens;
  source.tokens[5] ^= 1;
  EXPECT_EQ(play(store, source, params_, sink_, nullptr).error().kind, ErrorKind::kCorrupt);
}

TEST_F(PlayTest, PlaysOnlyWholeChunksOfALimit) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.token_limit = 95;
  const auto report = run(sample, store);
  ASSERT_TRUE(report);
  EXPECT_EQ(report->tokens, 64u);
  EXPECT_EQ(report->chunks.size(), 2u);
  EXPECT_EQ(sink_.shape().tokens, 64u);
  params_.token_limit = 31;
  const auto none = run(sample, store);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->tokens, 0u);
}

TEST_F(PlayTest, WithoutTextThereIsNoRecompute) {
  SampleParams silent;
  silent.text = false;
  const Sample sample = make_sample(silent);
  ScriptedStore store(sample.files);
  TruthEngine engine(sample);
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->recomputed_tokens, 0u);
  EXPECT_THAT(engine.begins, testing::IsEmpty());
}

TEST_F(PlayTest, AStopEndsItAtAnyTime) {
  const Sample sample = make_sample();
  for (const bool manifest_held : {true, false}) {
    ScriptedStore store(sample.files);
    store.held = [&](const std::string& url) {
      return manifest_held || url != sample.manifest_url();
    };
    TruthEngine engine(sample);
    engine.blocks_from = 32;
    std::stop_source stop;
    std::jthread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      stop.request_stop();
    });
    const auto report = run(sample, store, &engine, stop.get_token());
    ASSERT_FALSE(report);
    EXPECT_THAT(report.error().message, HasSubstr("cancelled"));
  }
  EXPECT_TRUE(sink_.layers.empty());
}

TEST_F(PlayTest, EveryDecisionIsAnEventWithItsReason) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  TruthEngine engine(sample);
  engine.blocks_from = 32;                    // the engine brings chunk 0, and then
  store.held = [&](const std::string& url) {  // the network brings the others
    return engine.done < 32 && url != sample.manifest_url();
  };
  params_.ttft_slo_ms = 400;
  const auto report = run(sample, store, &engine);
  ASSERT_TRUE(report);
  std::set<std::string> kinds;
  double last_ms = 0;
  for (const PlayEvent& event : events_) {
    kinds.emplace(event.what);
    EXPECT_FALSE(event.reason.empty()) << event.what;
    EXPECT_GE(event.time_ms, last_ms);
    last_ms = event.time_ms;
    EXPECT_TRUE(nlohmann::json::parse(event_json(event)).is_object());
  }
  for (const char* kind : {"fetch", "recompute", "freeze", "ready"})
    EXPECT_TRUE(kinds.contains(kind)) << kind;
  const auto json = nlohmann::json::parse(report_json(*report));
  for (const char* key : {"ttft_slo_ms", "ttft_ms", "met", "bytes_fetched", "raw_bytes",
                          "recomputed_tokens", "quality", "chunks"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["chunks"][1]["tokens"], nlohmann::json({32, 64}));
  EXPECT_FALSE(json.contains("mean_kl"));
}

}  // namespace
}  // namespace kvcast::player
