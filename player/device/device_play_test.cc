// Plays into an emulated device, kernels and all, beside the same plays into host memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <set>

#include "kernels/emulated_device.h"
#include "player/engine_cache.h"
#include "player/player.h"
#include "player/testing/sample_presentation.h"
#include "player/testing/scripted_store.h"

namespace kvcast::player {
namespace {

using kernels::EmulatedDevice;
using kernels::Side;
using manifests::ErrorKind;
using testing::HasSubstr;

class CountingDeviceSink final : public EngineCacheSink {
 public:
  using EngineCacheSink::EngineCacheSink;
  void chunk_ready(uint64_t begin, uint64_t /*end*/) override {
    EXPECT_TRUE(layers.empty()) << "a chunk changed after a layer was handed over";
    chunks.insert(begin);
  }
  void layer_ready(uint32_t layer) override { EXPECT_TRUE(layers.insert(layer).second); }
  std::set<uint64_t> chunks;
  std::set<uint32_t> layers;
};

// Answers with the KV the sample was packed from; has no use for the prefix.
class TruthEngine final : public Recompute {
 public:
  explicit TruthEngine(const Sample& sample) : sample_(sample) {}
  manifests::Result<RecomputeOutcome> prefill(const RecomputeTask& task, std::stop_token) override {
    for (size_t i = 0; i < task.result.size(); ++i) {
      EXPECT_EQ(task.prefix[i].data, nullptr);
      const size_t row = sample_.row_bytes(i);
      std::memcpy(task.result[i].data, sample_.tensors[i].data() + task.begin * row,
                  (task.end - task.begin) * row);
    }
    return RecomputeOutcome{false, 1e-4};
  }

 private:
  const Sample& sample_;
};

constexpr DeviceRoomParams kSmallRoom{
    .max_sms = 2, .ring_bytes = 1 << 20, .compressed_bytes = 1 << 20, .scratch_bytes = 8 << 20};

class DevicePlayTest : public testing::Test {
 protected:
  manifests::Result<PlayReport> run(const Sample& sample, ScriptedStore& store, KvSink& sink,
                                    Recompute* engine = nullptr) {
    Source source;
    source.manifest_url = sample.manifest_url();
    params_.download.backoff_first = std::chrono::milliseconds(1);
    return play(store, source, params_, sink, engine);
  }

  // What a play into host memory gives.
  std::unique_ptr<HostKvSink> on_host(const Sample& sample, Recompute* engine = nullptr) {
    ScriptedStore store(sample.files);
    auto sink = std::make_unique<HostKvSink>();
    const auto report = run(sample, store, *sink, engine);
    EXPECT_TRUE(report) << report.error().message;
    return sink;
  }

  static void expect_same(const DeviceKvSink& device, const HostKvSink& host,
                          const Sample& sample) {
    HostKvSink copy;
    const auto read = device.read_back(copy);
    ASSERT_TRUE(read) << read.error().message;
    for (size_t i = 0; i < sample.tensors.size(); ++i) {
      const auto a = copy.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
      const auto b = host.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
      ASSERT_EQ(a.size(), b.size());
      std::vector<float> got(a.size() / 2), want(b.size() / 2);
      kernels::load_f32(kernels::DType::kBf16, a.data(), got);
      kernels::load_f32(kernels::DType::kBf16, b.data(), want);
      // A place of the type, or what RoPE cancels.
      for (size_t k = 0; k < got.size(); ++k) {
        ASSERT_NEAR(got[k], want[k], 0x1p-7f * std::abs(want[k]) + 1e-4f)
            << "tensor " << i << ", element " << k;
      }
    }
  }

  PlayParams params_ = [] {
    PlayParams params;
    params.ttft_slo_ms = 60'000;
    return params;
  }();
};

TEST_F(DevicePlayTest, EveryLayoutHoldsWhatAHostSinkHolds) {
  SampleParams alike;
  alike.geometry = {3, 2, 16, 2, 16};  // as a packed cache wants it
  const Sample samples[] = {make_sample(), make_sample(alike)};
  for (const CacheShape shape : kCacheShapes) {
    SCOPED_TRACE(cache_shape_name(shape));
    const Sample& sample = samples[shape == CacheShape::kPacked];
    EmulatedDevice device;
    const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
    CountingDeviceSink sink(*room, shape, 7);
    ScriptedStore store(sample.files);
    const auto report = run(sample, store, sink);
    ASSERT_TRUE(report) << report.error().message;
    for (const ChunkReport& chunk : report->chunks) EXPECT_EQ(chunk.level, 3u);
    EXPECT_EQ(sink.layers.size(), 3u);
    EXPECT_EQ(sink.chunks.size(), 4u);
    EXPECT_EQ(sink.about().token_ids, sample.tokens);
    expect_same(sink, *on_host(sample), sample);
  }
}

TEST_F(DevicePlayTest, ARoomServesOnePlayAfterTheOtherAndKeepsTheProfile) {
  const Sample sample = make_sample();
  const auto expected = on_host(sample);
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  uint64_t used = 0;
  for (int i = 0; i < 2; ++i) {
    EngineCacheSink sink(*room, CacheShape::kPaged);
    ScriptedStore store(sample.files);
    ASSERT_TRUE(run(sample, store, sink));
    expect_same(sink, *expected, sample);
    if (i > 0) {
      EXPECT_EQ(device.memory_used() - sink.cache_bytes(), used);
    }
    used = device.memory_used() - sink.cache_bytes();
  }
}

TEST_F(DevicePlayTest, RecomputedChunksArePlacedInTheCache) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  store.files().erase(sample.plane_url(2, 0));
  params_.gpu_seconds_price = 1e9;  // only where there is no other way
  TruthEngine engine(sample);
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  CountingDeviceSink sink(*room, CacheShape::kPaged, 3);
  const auto report = run(sample, store, sink, &engine);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->chunks[2].recomputed);
  HostKvSink copy;
  ASSERT_TRUE(sink.read_back(copy));
  for (size_t i = 0; i < sample.tensors.size(); ++i) {
    const size_t begin = 64 * sample.row_bytes(i), bytes = 32 * sample.row_bytes(i);
    const auto got = copy.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
    EXPECT_EQ(std::memcmp(got.data() + begin, sample.tensors[i].data() + begin, bytes), 0);
  }
}

TEST_F(DevicePlayTest, ExactObjectsComeBackBitForBit) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  params_.exact = true;
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  EngineCacheSink sink(*room, CacheShape::kAcrossLayers);
  const auto report = run(sample, store, sink);
  ASSERT_TRUE(report) << report.error().message;
  HostKvSink copy;
  ASSERT_TRUE(sink.read_back(copy));
  for (size_t i = 0; i < sample.tensors.size(); ++i) {
    const auto got = copy.tensor(static_cast<uint32_t>(i / 2), static_cast<Side>(i % 2));
    EXPECT_TRUE(std::equal(got.begin(), got.end(), sample.tensors[i].begin()));
  }
}

TEST_F(DevicePlayTest, NothingOfAnObjectWithAnotherDigestIsDecoded) {
  const Sample sample = make_sample();
  ScriptedStore store(sample.files);
  for (std::byte& byte : store.files()[sample.plane_url(3, 0)]) byte ^= std::byte{0x5A};
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  CountingDeviceSink sink(*room, CacheShape::kPaged);
  const auto report = run(sample, store, sink);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("chunk 3"));
  EXPECT_TRUE(sink.layers.empty());
  EXPECT_FALSE(sink.chunks.contains(96));
}

TEST_F(DevicePlayTest, APlaneThatTheDeviceRefusesIsLeftOut) {
  SampleParams broken;
  broken.damage = [](uint32_t c, uint32_t plane, std::vector<std::byte>& section) {
    if (c == 1 && plane == 2 && section.size() > 40) section[section.size() - 9] ^= std::byte{0x55};
  };
  const Sample sample = make_sample(broken);
  ScriptedStore store(sample.files);
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  CountingDeviceSink sink(*room, CacheShape::kPaged);
  const auto report = run(sample, store, sink);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->chunks[1].level, 1u);
  EXPECT_EQ(report->chunks[0].level, 3u);
  EXPECT_EQ(sink.layers.size(), 3u);
}

TEST_F(DevicePlayTest, ADeviceThatFailsEndsThePlayAndHandsNothingOver) {
  const Sample sample = make_sample();
  uint64_t ended = 0;
  for (const uint64_t n : {1u, 3u, 10u, 30u, 90u}) {
    EmulatedDevice device;
    {
      const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
      CountingDeviceSink sink(*room, CacheShape::kPaged);
      ScriptedStore store(sample.files);
      device.fail_call(n, true);
      const auto report = run(sample, store, sink);
      if (report) continue;  // it was over before
      ++ended;
      EXPECT_THAT(report.error().message, HasSubstr("made to fail")) << n;
      EXPECT_EQ(report.error().kind, ErrorKind::kIo);
      EXPECT_TRUE(sink.layers.empty());
    }
    EXPECT_EQ(device.owned(), 0u);
  }
  EXPECT_GE(ended, 3u);
}

TEST_F(DevicePlayTest, ACacheThatDoesNotFitIsRefused) {
  EmulatedDevice device;
  const auto room = std::move(*DeviceRoom::create(device, kSmallRoom));
  const KvShape shape{{2, 1, 8, 1, 8}, kernels::DType::kBf16, 40};
  EngineCacheSink made(*room, CacheShape::kPaged);
  ASSERT_TRUE(made.prepare(shape, {}));
  const auto refused = [&](auto change, const char* why) {
    DeviceCache cache = made.cache();
    change(cache);
    DeviceKvSink sink(*room, cache);
    const auto prepared = sink.prepare(shape, {});
    ASSERT_FALSE(prepared) << why;
    EXPECT_EQ(prepared.error().kind, ErrorKind::kUsage);
    EXPECT_THAT(prepared.error().message, HasSubstr(why));
  };
  refused([](DeviceCache& c) { c.keys_dev.pop_back(); }, "1 layers, not 2");
  refused([](DeviceCache& c) { c.blocks.resize(2); }, "hold fewer than 40");
  refused([](DeviceCache& c) { c.blocks[1] = -1; }, "block -1 lies outside");
  refused([](DeviceCache& c) { c.blocks[1] = 6; }, "block 6 lies outside");
  refused([](DeviceCache& c) { c.value_bytes = 255; }, "16 slots do not fit");
  refused([](DeviceCache& c) { c.first_slot = 57; }, "hold fewer than 97");
  refused([](DeviceCache& c) { c.key_layout.head_bytes = 15; }, "closer together");
  DeviceKvSink fp8(*room, made.cache());
  EXPECT_FALSE(fp8.prepare({shape.geometry, kernels::DType::kF8E4M3, 40}, {}));
  EXPECT_FALSE(fp8.destination(0, Side::kKey));
}

}  // namespace
}  // namespace kvcast::player
