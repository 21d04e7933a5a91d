// The queue in front of a device that does things late, in any order, or not at all.
#include "player/device/decode_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "kernels/emulated_device.h"
#include "kernels/profile_format.h"
#include "manifests/object.h"
#include "player/engine_cache.h"
#include "player/session/decode_pool.h"
#include "player/testing/sample_presentation.h"

namespace kvcast::player {
namespace {

using kernels::EmulatedDevice;
using kernels::Side;
using testing::HasSubstr;

constexpr uint32_t kChunks = 3, kLevels = 4;
constexpr DeviceRoomParams kRoom{
    .max_sms = 1, .ring_bytes = 1, .compressed_bytes = 1 << 20, .scratch_bytes = 4 << 20};

std::shared_ptr<const StoredObject> stored(const std::vector<std::byte>& file, std::string name) {
  const auto view = manifests::read_object(file, name);
  return std::move(*StoredObject::parse(file, view->header, name));
}

// A sample, its objects, and what the host makes of them.
class Samples {
 public:
  explicit Samples(SampleParams params = {}) : sample(make_sample(with_chunks(params))) {
    for (const auto& [url, file] : sample.files) {
      if (url.find(sample.manifest.profile.digest.hex()) == url.npos) continue;
      profile_object_ = stored(file, "profile");
    }
    std::vector<kernels::SectionView> sections;
    for (const manifests::ObjectSection& section : profile_object_->view().sections) {
      sections.push_back({{static_cast<kernels::SectionKind>(section.kind), section.group,
                           static_cast<Side>(section.side)},
                          section.bytes});
    }
    profile = std::move(*kernels::read_profile(sections));
    for (uint32_t c = 0; c < kChunks; ++c) {
      for (uint32_t n = 0; n < kLevels; ++n) {
        planes[c][n] = stored(sample.files.at(sample.plane_url(c, n)),
                              "plane " + std::to_string(n) + " of chunk " + std::to_string(c));
      }
    }
  }
  KvShape shape() const {
    return {profile.geometry, kernels::DType::kBf16, sample.manifest.tokens};
  }
  // Keys and values of every group, at a level.
  std::vector<DecodeJob> jobs(uint32_t chunk, uint32_t level) const {
    std::vector<DecodeJob> jobs;
    const manifests::ChunkEntry& entry = sample.manifest.chunks[chunk];
    for (uint32_t group = 0; group < profile.groups.size(); ++group) {
      for (const Side side : {Side::kKey, Side::kValue}) {
        DecodeJob job;
        job.chunk = chunk;
        job.group = group;
        job.side = side;
        job.channels = profile.geometry.channels(side);
        job.planes.assign(planes[chunk], planes[chunk] + level + 1);
        job.tokens = {entry.token_begin,
                      static_cast<uint32_t>(entry.token_end - entry.token_begin)};
        job.work = 1;
        jobs.push_back(job);
      }
    }
    return jobs;
  }
  void on_host(HostKvSink& sink, uint32_t level) const {
    ASSERT_TRUE(sink.prepare(shape(), {}));
    const kernels::Codec codec(profile);
    for (uint32_t c = 0; c < kChunks; ++c) {
      for (DecodeJob& job : jobs(c, level)) {
        job.codec = &codec;
        for (uint32_t i = 0; i < profile.groups[job.group].layers; ++i) {
          auto view = *sink.destination(profile.groups[job.group].first_layer + i, job.side);
          view.data += job.tokens.begin * view.token_stride_bytes;
          job.layers.push_back(view);
        }
        ASSERT_EQ(run_decode(job).level, static_cast<int>(level));
      }
    }
  }

  Sample sample;
  kernels::Profile profile;
  std::shared_ptr<const StoredObject> planes[kChunks][kLevels];

 private:
  static SampleParams with_chunks(SampleParams params) {
    params.chunks = kChunks;
    return params;
  }
  std::shared_ptr<const StoredObject> profile_object_;
};

void expect_same(const DeviceKvSink& sink, const HostKvSink& expected) {
  HostKvSink copy;
  const auto read = sink.read_back(copy);
  ASSERT_TRUE(read) << read.error().message;
  for (uint32_t layer = 0; layer < expected.shape().geometry.layers; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      const auto a = copy.tensor(layer, side), b = expected.tensor(layer, side);
      ASSERT_EQ(a.size(), b.size());
      std::vector<float> got(a.size() / 2), want(b.size() / 2);
      kernels::load_f32(kernels::DType::kBf16, a.data(), got);
      kernels::load_f32(kernels::DType::kBf16, b.data(), want);
      // A place of the type, or what RoPE cancels.
      for (size_t k = 0; k < got.size(); ++k) {
        ASSERT_NEAR(got[k], want[k], 0x1p-7f * std::abs(want[k]) + 1e-4f)
            << "layer " << layer << ", element " << k;
      }
    }
  }
}

// Bases first, each chunk's upgrade as soon as its base is there, while the device goes on whenever
// the dice say so.
void play(const Samples& samples, EmulatedDevice& device, DecodeQueue& queue, uint32_t seed) {
  std::mt19937 random(seed);
  uint32_t left[kChunks] = {}, level[kChunks] = {};
  const auto submit = [&](uint32_t chunk, uint32_t to) {
    for (DecodeJob& job : samples.jobs(chunk, to)) {
      queue.submit(std::move(job));
      ++left[chunk];
    }
    level[chunk] = to;
  };
  for (uint32_t c = 0; c < kChunks; ++c) {
    for (uint32_t n = 0; n < kLevels; ++n) queue.keep(samples.planes[c][n]);
    submit(c, 0);
  }
  uint32_t finished = 0;
  while (finished < kChunks) {
    if (random() % 4 == 0) device.step();
    const auto pumped = queue.pump();
    ASSERT_TRUE(pumped) << pumped.fault().what;
    for (const DecodeDone& done : queue.take_done()) {
      ASSERT_EQ(done.level, static_cast<int>(level[done.chunk])) << done.fault;
      if (--left[done.chunk] > 0) continue;
      if (level[done.chunk] == kLevels - 1) {
        ++finished;
      } else {
        submit(done.chunk, kLevels - 1);
      }
    }
  }
}

TEST(DecodeQueue, UpgradesAfterBasesInWhateverOrderTheDeviceGoesOn) {
  const Samples samples;
  HostKvSink expected;
  samples.on_host(expected, kLevels - 1);
  for (uint32_t seed = 0; seed < 6; ++seed) {
    EmulatedDevice device({.deferred = true, .seed = seed});
    const auto room = std::move(*DeviceRoom::create(device, kRoom));
    EngineCacheSink sink(*room, CacheShape::kPaged, seed);
    ASSERT_TRUE(sink.prepare(samples.shape(), {}));
    DecodeQueue queue(sink);
    ASSERT_TRUE(queue.use_profile(samples.profile));
    play(samples, device, queue, seed);
    expect_same(sink, expected);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

TEST(DecodeQueue, ASmallRoomHoldsOneChunkAfterTheOther) {
  const Samples samples;
  HostKvSink expected;
  samples.on_host(expected, kLevels - 1);
  uint64_t most = 0;
  for (const auto& chunk : samples.planes) {
    uint64_t bytes = 0;
    for (const auto& plane : chunk) bytes += Resident::needed_bytes(*plane);
    most = std::max(most, bytes);
  }
  EmulatedDevice device({.deferred = true, .seed = 3});
  DeviceRoomParams params = kRoom;
  params.compressed_bytes = most;
  const auto room = std::move(*DeviceRoom::create(device, params));
  EngineCacheSink sink(*room, CacheShape::kContiguous);
  ASSERT_TRUE(sink.prepare(samples.shape(), {}));
  {
    DecodeQueue queue(sink);
    ASSERT_TRUE(queue.use_profile(samples.profile));
    const uint64_t before = device.memory_used();
    play(samples, device, queue, 3);
    expect_same(sink, expected);
    EXPECT_EQ(device.most_memory_used(), before) << "memory was allocated while it decoded";
  }
  EXPECT_EQ(room->memory().arena.used(), 0u);

  params.compressed_bytes = most - Arena::kAlignment;
  const auto too_small = std::move(*DeviceRoom::create(device, params));
  EngineCacheSink other(*too_small, CacheShape::kContiguous);
  ASSERT_TRUE(other.prepare(samples.shape(), {}));
  DecodeQueue queue(other);
  ASSERT_TRUE(queue.use_profile(samples.profile));
  for (uint32_t c = 0; c < kChunks; ++c) {
    for (DecodeJob& job : samples.jobs(c, kLevels - 1)) queue.submit(std::move(job));
  }
  auto pumped = queue.pump();
  while (pumped && queue.busy()) {
    device.step();
    pumped = queue.pump();
  }
  ASSERT_FALSE(pumped);
  EXPECT_THAT(pumped.fault().what, HasSubstr("compressed_bytes"));
}

TEST(DecodeQueue, TooLittleScratchIsSplitOrSaid) {
  const Samples samples;
  HostKvSink expected;
  samples.on_host(expected, kLevels - 1);
  bool said = false, split = false;
  for (uint64_t scratch = 4 << 20; scratch >= 256; scratch /= 2) {
    EmulatedDevice device;
    DeviceRoomParams params = kRoom;
    params.scratch_bytes = scratch;
    const auto room = std::move(*DeviceRoom::create(device, params));
    EngineCacheSink sink(*room, CacheShape::kContiguous);
    ASSERT_TRUE(sink.prepare(samples.shape(), {}));
    DecodeQueue queue(sink);
    ASSERT_TRUE(queue.use_profile(samples.profile));
    for (uint32_t c = 0; c < kChunks; ++c) {
      for (DecodeJob& job : samples.jobs(c, kLevels - 1)) queue.submit(std::move(job));
    }
    auto pumped = queue.pump();
    while (pumped && queue.busy()) pumped = queue.pump();
    if (pumped) {
      expect_same(sink, expected);
      split = true;
    } else {
      EXPECT_THAT(pumped.fault().what, HasSubstr("scratch_bytes"));
      said = true;
    }
  }
  EXPECT_TRUE(said && split);
}

TEST(DecodeQueue, ALevelThatIsCorruptOnTheDeviceStepsDown) {
  SampleParams params;
  params.damage = [](uint32_t c, uint32_t plane, std::vector<std::byte>& section) {
    if (c == 1 && plane == 2 && section.size() > 40) section[section.size() - 9] ^= std::byte{0x55};
  };
  const Samples samples(params);
  EmulatedDevice device({.deferred = true, .seed = 5});
  const auto room = std::move(*DeviceRoom::create(device, kRoom));
  EngineCacheSink sink(*room, CacheShape::kPaged);
  ASSERT_TRUE(sink.prepare(samples.shape(), {}));
  DecodeQueue queue(sink);
  ASSERT_TRUE(queue.use_profile(samples.profile));
  for (uint32_t c = 0; c < kChunks; ++c) {
    for (DecodeJob& job : samples.jobs(c, 3)) queue.submit(std::move(job));
  }
  size_t stepped_down = 0, all = 0;
  while (queue.busy()) {
    device.step();
    ASSERT_TRUE(queue.pump());
    for (const DecodeDone& done : queue.take_done()) {
      ++all;
      if (done.chunk != 1) {
        EXPECT_EQ(done.level, 3);
        EXPECT_TRUE(done.fault.empty());
      } else if (!done.fault.empty()) {
        EXPECT_EQ(done.level, 1);
        EXPECT_THAT(done.fault, HasSubstr("of chunk 1"));
        ++stepped_down;
      }
    }
  }
  EXPECT_EQ(all, 3u * 6u);
  EXPECT_GT(stepped_down, 0u);
}

TEST(DecodeQueue, EveryCallMayFail) {
  const Samples samples;
  uint64_t failed = 0;
  for (uint64_t n = 1;; n += 1 + n / 24) {
    EmulatedDevice device;
    bool failure = false;
    {
      device.fail_call(n, n % 2 == 0);
      auto room = DeviceRoom::create(device, kRoom);
      if (room) {
        EngineCacheSink sink(**room, CacheShape::kPacked);
        const auto prepared = sink.prepare({{1, 1, 8, 1, 8}, kernels::DType::kBf16, 1}, {});
        EngineCacheSink real(**room, CacheShape::kPaged);
        failure = !prepared || !real.prepare(samples.shape(), {});
        if (!failure) {
          DecodeQueue queue(real);
          failure = !queue.use_profile(samples.profile);
          for (uint32_t c = 0; !failure && c < kChunks; ++c) {
            for (DecodeJob& job : samples.jobs(c, 1)) queue.submit(std::move(job));
          }
          while (!failure && queue.busy()) {
            const auto pumped = queue.pump();
            failure = !pumped;
            if (!pumped) {
              EXPECT_THAT(pumped.fault().what, HasSubstr("made to fail"));
              EXPECT_TRUE(queue.take_done().size() < 18);
            }
          }
        }
      } else {
        failure = true;
        EXPECT_THAT(room.error().message, HasSubstr("made to fail"));
      }
    }
    EXPECT_EQ(device.owned(), 0u) << "call " << n;
    if (!failure && device.calls() < n) break;
    failed += failure;
  }
  EXPECT_GT(failed, 30u);
}

}  // namespace
}  // namespace kvcast::player
