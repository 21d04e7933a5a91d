#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "kernels/emulated_device.h"
#include "player/c_api/callback_recompute.h"
#include "player/c_api/callback_sink.h"
#include "player/c_api/device_callback_sink.h"
#include "player/c_api/versioned.h"
#include "player/kvcast.h"
#include "player/transport/scripted_server.h"

namespace kvcast::player {
namespace {

using kernels::Side;
using Reply = ScriptedServer::Reply;
using Then = ScriptedServer::Then;

kvcast_source source_at(const std::string& url) {
  kvcast_source source{};
  source.size = sizeof(source);
  source.manifest_url = url.c_str();
  return source;
}

kvcast_sink empty_sink() {
  kvcast_sink sink{};
  sink.size = sizeof(sink);
  sink.write = [](void*, uint32_t, uint32_t, const void*, size_t) -> int32_t { return 0; };
  return sink;
}

// A deadline that no machine misses.
kvcast_params patient() {
  kvcast_params params{};
  kvcast_params_init(&params, sizeof(params));
  params.ttft_slo_ms = 120'000;
  return params;
}

TEST(CApi, OpenNeedsASourceAndSaysSo) {
  kvcast_player* player = nullptr;
  kvcast_source source = source_at("");
  EXPECT_EQ(kvcast_open(&source, &player), KVCAST_USAGE);
  ASSERT_NE(player, nullptr);
  EXPECT_NE(std::string(kvcast_error(player)).find("manifest_url"), std::string::npos);
  kvcast_free(player);
  source.size = 0;
  EXPECT_EQ(kvcast_open(&source, &player), KVCAST_USAGE);
  kvcast_free(player);
  EXPECT_EQ(kvcast_open(nullptr, &player), KVCAST_USAGE);
  kvcast_free(player);
  kvcast_free(nullptr);
}

TEST(CApi, PlayRefusesTablesThatMakeNoSense) {
  kvcast_player* player = nullptr;
  const std::string url = "http://127.0.0.1:1/t/public/m/x.json";
  const kvcast_source source = source_at(url);
  ASSERT_EQ(kvcast_open(&source, &player), KVCAST_OK);
  kvcast_sink sink = empty_sink();
  EXPECT_EQ(kvcast_play(player, nullptr, nullptr, nullptr), KVCAST_USAGE);
  sink.destination = [](void*, uint32_t, uint32_t, kvcast_tensor*) -> int32_t { return 0; };
  EXPECT_EQ(kvcast_play(player, nullptr, &sink, nullptr), KVCAST_USAGE) << "both ways at once";
  sink = empty_sink();
  kvcast_params params{};
  EXPECT_EQ(kvcast_play(player, &params, &sink, nullptr), KVCAST_USAGE) << "not initialised";
  kvcast_recompute recompute{};
  recompute.size = sizeof(recompute);
  EXPECT_EQ(kvcast_play(player, nullptr, &sink, &recompute), KVCAST_USAGE) << "no prefill";
  kvcast_params_init(&params, sizeof(params));
  params.controller = "no such controller";
  EXPECT_EQ(kvcast_play(player, &params, &sink, nullptr), KVCAST_USAGE);
  EXPECT_STREQ(kvcast_report_json(player), "");
  kvcast_free(player);
}

TEST(CApi, ErrorsKeepTheirKindAndName) {
  ScriptedServer server([](const std::string& request) {
    if (request.find("GET /none") == 0) {
      return Reply{"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    }
    return Reply{http_ok("no manifest")};
  });
  const kvcast_sink sink = empty_sink();
  const kvcast_params params = patient();
  for (const auto& [path, status] :
       {std::pair("/none", KVCAST_IO), std::pair("/t/public/m/x.json", KVCAST_CORRUPT)}) {
    const std::string url = server.url(path);
    const kvcast_source source = source_at(url);
    kvcast_player* player = nullptr;
    ASSERT_EQ(kvcast_open(&source, &player), KVCAST_OK);
    EXPECT_EQ(kvcast_play(player, &params, &sink, nullptr), status);
    EXPECT_NE(std::string(kvcast_error(player)).find(url), std::string::npos)
        << kvcast_error(player);
    kvcast_free(player);
  }
}

TEST(CApi, CancelsThePlayUnderWayOrTheNext) {
  std::atomic<bool> asked{false};
  ScriptedServer server([&](const std::string&) {
    asked = true;
    return Reply{"", Then::kHang};
  });
  const std::string url = server.url("/t/public/m/x.json");
  const kvcast_source source = source_at(url);
  kvcast_player* player = nullptr;
  ASSERT_EQ(kvcast_open(&source, &player), KVCAST_OK);
  const kvcast_sink sink = empty_sink();
  const kvcast_params params = patient();
  kvcast_cancel(player);
  EXPECT_EQ(kvcast_play(player, &params, &sink, nullptr), KVCAST_CANCELLED);
  std::thread other([&] {
    while (!asked) std::this_thread::yield();
    kvcast_cancel(player);
  });
  EXPECT_EQ(kvcast_play(player, &params, &sink, nullptr), KVCAST_CANCELLED);
  other.join();
  EXPECT_NE(std::string(kvcast_error(player)).find("cancelled"), std::string::npos);
  kvcast_free(player);
}

TEST(CApi, OlderCallersGetDefaultsAndNewerOnesAreUnderstood) {
  // A caller that knows only the first two fields.
  const size_t old_size = offsetof(kvcast_params, suffix_prefill_ms);
  std::vector<std::byte> memory(sizeof(kvcast_params) + 64, std::byte{0xAB});
  auto* params = reinterpret_cast<kvcast_params*>(memory.data());
  kvcast_params_init(params, old_size);
  EXPECT_EQ(params->size, old_size);
  EXPECT_EQ(params->ttft_slo_ms, 1000);
  EXPECT_EQ(memory[old_size], std::byte{0xAB}) << "nothing past the caller's struct is touched";
  kvcast_params read{};
  read.connections = 4;
  ASSERT_TRUE(read_versioned(params, read));
  EXPECT_EQ(read.size, sizeof(read));
  EXPECT_EQ(read.connections, 4u);
  // And one that knows more.
  kvcast_params_init(params, memory.size());
  EXPECT_EQ(params->connections, 4u);
  ASSERT_TRUE(read_versioned(params, read));
  params->size = 1 << 20;
  EXPECT_FALSE(read_versioned(params, read)) << "such a size was never set";
  EXPECT_EQ(kvcast_abi_version(), uint32_t{KVCAST_ABI_VERSION});
}

KvShape small_shape() {
  KvShape shape;
  shape.geometry = {.layers = 2, .key_heads = 2, .key_dim = 4, .value_heads = 1, .value_dim = 4};
  shape.dtype = kernels::DType::kF16;
  shape.tokens = 3;
  return shape;
}

struct Seen {
  kvcast_shape shape{};
  std::vector<std::string> calls;
  std::byte memory[64]{};
  int32_t answer = 0;
};

kvcast_sink recording_sink(Seen& seen, bool in_place) {
  kvcast_sink sink{};
  sink.size = sizeof(sink);
  sink.context = &seen;
  sink.prepare = [](void* context, const kvcast_shape* shape) -> int32_t {
    static_cast<Seen*>(context)->shape = *shape;
    return static_cast<Seen*>(context)->answer;
  };
  if (in_place) {
    sink.destination = [](void* context, uint32_t, uint32_t, kvcast_tensor* tensor) -> int32_t {
      *tensor = {static_cast<Seen*>(context)->memory, 16};
      return static_cast<Seen*>(context)->answer;
    };
  } else {
    sink.write = [](void* context, uint32_t layer, uint32_t side, const void* data,
                    size_t bytes) -> int32_t {
      auto* self = static_cast<Seen*>(context);
      self->calls.push_back("write " + std::to_string(layer) + " " + std::to_string(side) + " " +
                            std::to_string(bytes) + " " +
                            std::to_string(static_cast<const unsigned char*>(data)[0]));
      return self->answer;
    };
  }
  sink.tokens_known = [](void* context, const uint32_t*, size_t count) {
    static_cast<Seen*>(context)->calls.push_back(std::to_string(count) + " tokens");
  };
  sink.layer_ready = [](void* context, uint32_t layer) {
    static_cast<Seen*>(context)->calls.push_back("ready " + std::to_string(layer));
  };
  return sink;
}

TEST(CallbackSink, GivesTheEnginesMemory) {
  Seen seen;
  CallbackSink sink(recording_sink(seen, true), std::stop_source());
  ASSERT_TRUE(sink.prepare(small_shape(), {}).ok());
  EXPECT_EQ(seen.shape.key_heads, 2u);
  EXPECT_EQ(seen.shape.dtype, uint32_t{KVCAST_F16});
  EXPECT_EQ(seen.shape.tokens, 3u);
  const std::vector<uint32_t> ids = {1, 2, 3};
  sink.tokens_known(ids);
  const auto view = sink.destination(1, Side::kKey);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->data, seen.memory);
  EXPECT_EQ(view->token_stride_bytes, 16u);
  sink.chunk_ready(0, 3);
  sink.layer_ready(1);
  EXPECT_EQ(seen.calls, (std::vector<std::string>{"3 tokens", "ready 1"}));
  seen.answer = 7;
  EXPECT_NE(sink.destination(0, Side::kValue).error().message.find("code 7"), std::string::npos);
  EXPECT_FALSE(sink.prepare(small_shape(), {}).ok());
}

TEST(CallbackSink, HoldsTheCacheAndWritesFinalLayers) {
  Seen seen;
  std::stop_source stop;
  CallbackSink sink(recording_sink(seen, false), stop);
  ASSERT_TRUE(sink.prepare(small_shape(), {}).ok());
  for (uint32_t layer = 0; layer < 2; ++layer) {
    std::memset(sink.destination(layer, Side::kKey)->data, 10 + static_cast<int>(layer), 48);
    std::memset(sink.destination(layer, Side::kValue)->data, 20 + static_cast<int>(layer), 24);
  }
  sink.layer_ready(1);
  EXPECT_EQ(seen.calls,
            (std::vector<std::string>{"write 1 0 48 11", "write 1 1 24 21", "ready 1"}));
  EXPECT_FALSE(sink.refusal().has_value());
  seen.answer = 3;
  sink.layer_ready(0);
  ASSERT_TRUE(sink.refusal().has_value());
  EXPECT_TRUE(stop.stop_requested());
  EXPECT_EQ(seen.calls.size(), 4u) << "one refused write, and no more";
}

struct Engine {
  bool stopped_seen = false;
  std::atomic<int> cancels{0};
  std::stop_source* stop = nullptr;
  int32_t answer = 0;
};

kvcast_recompute engine_table(Engine& engine) {
  kvcast_recompute table{};
  table.size = sizeof(table);
  table.context = &engine;
  table.prefill = [](void* context, const kvcast_prefill* task) -> int32_t {
    auto* self = static_cast<Engine*>(context);
    EXPECT_EQ(task->begin, 1u);
    EXPECT_EQ(task->end, 3u);
    EXPECT_EQ(task->tokens[2], 9u);
    EXPECT_NE(task->result[0].data, nullptr);
    EXPECT_EQ(kvcast_prefill_stopped(task), 0);
    if (self->stop != nullptr) self->stop->request_stop();
    self->stopped_seen = kvcast_prefill_stopped(task) != 0;
    return self->answer;
  };
  table.cancel = [](void* context) { ++static_cast<Engine*>(context)->cancels; };
  return table;
}

TEST(CallbackRecompute, RunsStopsAndFails) {
  Engine engine;
  const std::vector<uint32_t> tokens = {7, 8, 9};
  std::byte memory[64];
  const std::vector<kernels::TensorView> prefix(4, {memory, 16});
  const std::vector<kernels::MutableTensorView> result(4, {memory, 16});
  RecomputeTask task;
  task.tokens = tokens;
  task.begin = 1;
  task.end = 3;
  task.prefix = prefix;
  task.result = result;

  CallbackRecompute recompute(engine_table(engine));
  EXPECT_FALSE(recompute.cost().has_value());
  auto outcome = recompute.prefill(task, {});
  ASSERT_TRUE(outcome.ok());
  EXPECT_FALSE(outcome->cancelled);
  EXPECT_GE(outcome->seconds, 0);

  engine.answer = 5;
  outcome = recompute.prefill(task, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.error().message.find("[1, 3)"), std::string::npos);

  std::stop_source stop;
  engine.stop = &stop;
  outcome = recompute.prefill(task, stop.get_token());
  ASSERT_TRUE(outcome.ok());
  EXPECT_TRUE(outcome->cancelled);
  EXPECT_TRUE(engine.stopped_seen);
  EXPECT_EQ(engine.cancels, 1);
}

TEST(CallbackRecompute, PassesTheEnginesCostOn) {
  Engine engine;
  kvcast_recompute table = engine_table(engine);
  table.per_token_s = 0.001;
  const auto cost = CallbackRecompute(table).cost();
  ASSERT_TRUE(cost.has_value());
  EXPECT_EQ(cost->per_token_s, 0.001);
}

// An engine's blocks on a device.
struct DeviceEngine {
  std::byte* memory_dev = nullptr;
  void* keys[2] = {};
  void* values[2] = {};
  int32_t blocks[3] = {2, 0, 1};
  int32_t answer = 0;
  uint64_t tokens = 0;
  std::vector<uint32_t> layers;
};

int32_t prepare_device(void* context, const kvcast_shape* shape, kvcast_device_cache* cache) {
  auto& engine = *static_cast<DeviceEngine*>(context);
  engine.tokens = shape->tokens;
  const uint64_t head = shape->key_dim * 2, token = shape->key_heads * head, block = 16 * token;
  for (uint32_t layer = 0; layer < shape->layers; ++layer) {
    engine.keys[layer] = engine.memory_dev + 6 * layer * block;
    engine.values[layer] = engine.memory_dev + (6 * layer + 3) * block;
  }
  cache->keys = engine.keys;
  cache->values = engine.values;
  cache->layers = shape->layers;
  cache->key_bytes = cache->value_bytes = 3 * block;
  cache->key_layout = cache->value_layout = {16, block, token, head};
  cache->blocks = engine.blocks;
  cache->block_count = 3;
  return engine.answer;
}

TEST(DeviceCallbackSink, TakesTheEnginesBlocksAndTellsOfLayers) {
  kernels::EmulatedDevice device;
  auto room = DeviceRoom::create(
      device, {.ring_bytes = 1, .compressed_bytes = 4096, .scratch_bytes = 4096});
  ASSERT_TRUE(room.ok()) << room.error().message;
  const KvShape shape{{2, 1, 8, 1, 8}, kernels::DType::kBf16, 40};
  const auto memory = std::move(*device.allocate(12 * 16 * 16));
  DeviceEngine engine;
  engine.memory_dev = static_cast<std::byte*>(memory.get());
  kvcast_device_sink table{};
  table.size = sizeof(table);
  table.context = &engine;
  table.prepare = prepare_device;
  table.layer_ready = [](void* context, uint32_t layer) {
    static_cast<DeviceEngine*>(context)->layers.push_back(layer);
  };
  DeviceCallbackSink sink(**room, table);
  const auto prepared = sink.prepare(shape, {});
  ASSERT_TRUE(prepared.ok()) << prepared.error().message;
  EXPECT_EQ(engine.tokens, 40u);
  EXPECT_EQ(sink.cache().keys_dev[1], engine.memory_dev + 6 * 256);
  EXPECT_EQ(sink.cache().blocks, (std::vector<int32_t>{2, 0, 1}));
  EXPECT_EQ(sink.cache().value_layout.head_bytes, 16u);
  sink.layer_ready(1);
  sink.chunk_ready(0, 16);  // nobody listens
  EXPECT_EQ(engine.layers, (std::vector<uint32_t>{1}));

  engine.answer = 9;
  DeviceCallbackSink refusing(**room, table);
  const auto refused = refusing.prepare(shape, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("code 9"), std::string::npos);
}

TEST(CApi, WithoutADeviceItSaysWhatToDo) {
  kvcast_source source{};
  source.size = sizeof(source);
  source.manifest_url = "http://127.0.0.1:1/m.json";
  kvcast_player* player = nullptr;
  ASSERT_EQ(kvcast_open(&source, &player), KVCAST_OK);
  kvcast_device_sink sink{};
  sink.size = sizeof(sink);
  sink.prepare = prepare_device;
  EXPECT_EQ(kvcast_play_device(player, nullptr, &sink, nullptr), KVCAST_USAGE);
  EXPECT_NE(std::string(kvcast_error(player)).find("kvcast_use_device"), std::string::npos);
  kvcast_device_params params{};
  params.size = sizeof(params);
  params.ordinal = 1u << 20;  // no machine has so many
  EXPECT_EQ(kvcast_use_device(player, &params), KVCAST_IO);
  EXPECT_NE(std::string(kvcast_error(player)).find("no CUDA device"), std::string::npos);
  kvcast_free(player);
}

}  // namespace
}  // namespace kvcast::player
