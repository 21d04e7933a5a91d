#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

#include "player/c_api/callback_recompute.h"
#include "player/c_api/callback_sink.h"
#include "player/c_api/device_callback_sink.h"
#include "player/c_api/versioned.h"
#include "player/curl_transport.h"
#include "player/kvcast.h"
#include "player/player.h"
#include "player/report.h"

namespace player = kvcast::player;
using kvcast::manifests::Error;

struct kvcast_player {
  player::Source source;
  std::unique_ptr<player::CurlTransport> transport;
  uint32_t connections = 0;  // of the transport
  std::unique_ptr<kvcast::kernels::DeviceRuntime> device;
  std::unique_ptr<player::DeviceRoom> room;  // on it
  std::string error, report;
  std::mutex mutex;  // stop, which kvcast_cancel reads from other threads
  std::stop_source stop;
};

namespace {

static_assert(KVCAST_PROMISE == static_cast<int>(kvcast::manifests::ErrorKind::kPromise));
static_assert(KVCAST_CORRUPT == static_cast<int>(kvcast::manifests::ErrorKind::kCorrupt));
static_assert(KVCAST_F16 == static_cast<int>(kvcast::kernels::DType::kF16));
static_assert(KVCAST_F32 == static_cast<int>(kvcast::kernels::DType::kF32));
static_assert(KVCAST_F8_E5M2 == static_cast<int>(kvcast::kernels::DType::kF8E5M2));
static_assert(KVCAST_VALUE == static_cast<int>(kvcast::kernels::Side::kValue));

std::string text(const char* string) {
  return string == nullptr ? "" : string;
}

kvcast_status fail(kvcast_player& self, kvcast_status status, std::string message) {
  self.error = std::move(message);
  return status;
}

// The last line of defence: no exception crosses into C.
template <typename Body>
kvcast_status guarded(kvcast_player& self, Body body) noexcept {
  try {
    return body();
  } catch (const std::exception& exception) {
    try {
      self.error = exception.what();
    } catch (...) {
      self.error.clear();
    }
    return KVCAST_INTERNAL;
  } catch (...) {
    return KVCAST_INTERNAL;
  }
}

kvcast_params default_params() {
  const player::PlayParams defaults;
  kvcast_params params{};
  params.size = sizeof(params);
  params.ttft_slo_ms = defaults.ttft_slo_ms;
  params.max_level = -1;
  params.late_limit_ms = -1;
  params.connections = defaults.connections;
  params.decode_threads = defaults.decode_threads;
  return params;
}

player::PlayParams to_play_params(const kvcast_params& given) {
  player::PlayParams params;
  params.ttft_slo_ms = given.ttft_slo_ms;
  params.suffix_prefill_ms = given.suffix_prefill_ms;
  if (given.suffix_prefill_ms_after != nullptr) {
    params.suffix_prefill_ms_after = [after = given.suffix_prefill_ms_after,
                                      context = given.suffix_context](uint64_t kv_tokens) {
      return after(context, kv_tokens);
    };
  }
  if (!text(given.controller).empty()) params.controller = given.controller;
  params.min_level = given.min_level;
  if (given.max_level >= 0) params.max_level = static_cast<uint32_t>(given.max_level);
  params.exact = given.exact != 0;
  params.finish_early = given.finish_early != 0;
  if (given.late_limit_ms >= 0) {
    constexpr double kMost_ms = 1e9;
    params.download.late_limit =
        std::chrono::milliseconds(std::llround(std::min(given.late_limit_ms, kMost_ms)));
  }
  params.gpu_seconds_price = given.gpu_seconds_price;
  params.connections = given.connections;
  params.decode_threads = given.decode_threads;
  if (given.token_limit > 0) params.token_limit = given.token_limit;
  params.rate_prior_bytes_per_s = given.rate_prior_bytes_per_s;
  params.engine.weights = text(given.engine_weights);
  params.engine.adapter = text(given.engine_adapter);
  return params;
}

kvcast_status set_source(kvcast_player& self, const kvcast_source* given) {
  kvcast_source source{};
  if (!player::read_versioned(given, source)) {
    return fail(self, KVCAST_USAGE, "kvcast_source: no struct, or its size is not set");
  }
  self.source.manifest_url = text(source.manifest_url);
  self.source.store_url = text(source.store_url);
  if (!text(source.tenant).empty()) self.source.tenant = source.tenant;
  self.source.seed.salt = text(source.salt);
  self.source.seed.weights = text(source.weights);
  self.source.seed.adapter = text(source.adapter);
  if (source.tokens != nullptr) {
    self.source.tokens.assign(source.tokens, source.tokens + source.token_count);
  }
  const bool by_tokens = !self.source.store_url.empty() && !self.source.tokens.empty();
  if (self.source.manifest_url.empty() && !by_tokens) {
    return fail(self, KVCAST_USAGE,
                "kvcast_source: give a manifest_url, or a store_url and tokens");
  }
  return KVCAST_OK;
}

const std::optional<Error>& refusal_of(const player::CallbackSink& sink) {
  return sink.refusal();
}
std::optional<Error> refusal_of(const player::DeviceCallbackSink& /*sink*/) {
  return std::nullopt;  // prepare's is the play's own error
}

// Begins with a play, ends with it: a cancel that came before it counts, and none outlives it.
class StopScope {
 public:
  explicit StopScope(kvcast_player& self) : self_(self) {
    const std::lock_guard lock(self_.mutex);
    source_ = self_.stop;
  }
  ~StopScope() {
    const std::lock_guard lock(self_.mutex);
    self_.stop = std::stop_source();
  }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;
  const std::stop_source& source() const { return source_; }

 private:
  kvcast_player& self_;
  std::stop_source source_;
};

// The sink is made once the tables were read; `make_sink` answers null after it has said why not.
template <typename MakeSink>
kvcast_status play(kvcast_player& self, const kvcast_params* given_params,
                   const kvcast_recompute* given_recompute, MakeSink make_sink) {
  self.error.clear();
  self.report.clear();
  const StopScope scope(self);
  kvcast_params params = default_params();
  kvcast_recompute recompute_table{};
  if (given_params != nullptr && !player::read_versioned(given_params, params)) {
    return fail(self, KVCAST_USAGE, "kvcast_params: call kvcast_params_init first");
  }
  const auto sink = make_sink(scope.source());
  if (!sink) return KVCAST_USAGE;
  if (given_recompute != nullptr && (!player::read_versioned(given_recompute, recompute_table) ||
                                     recompute_table.prefill == nullptr)) {
    return fail(self, KVCAST_USAGE, "kvcast_recompute: set size and prefill");
  }
  const player::PlayParams play_params = to_play_params(params);
  if (!self.transport || self.connections != play_params.connections) {
    self.transport.reset();
    player::CurlTransportParams transport_params;
    transport_params.max_connections = player::transport_connections(play_params);
    self.transport = std::make_unique<player::CurlTransport>(transport_params);
    self.connections = play_params.connections;
  }
  const std::stop_token stop = scope.source().get_token();
  const std::stop_callback wake(stop, [&self] { self.transport->wake(); });
  player::CallbackRecompute recompute(recompute_table);
  player::EventHandler on_event;
  if (params.on_event != nullptr) {
    on_event = [&params](const player::PlayEvent& event) {
      params.on_event(params.event_context, player::event_json(event).c_str());
    };
  }
  auto report = player::play(*self.transport, self.source, play_params, *sink,
                             given_recompute != nullptr ? &recompute : nullptr, on_event, stop);
  if (const auto refusal = refusal_of(*sink)) return fail(self, KVCAST_USAGE, refusal->message);
  if (report) {
    self.report = player::report_json(*report);
    return KVCAST_OK;
  }
  if (stop.stop_requested()) return fail(self, KVCAST_CANCELLED, report.error().message);
  return fail(self, static_cast<kvcast_status>(report.error().kind), report.error().message);
}

kvcast_status use_device(kvcast_player& self, const kvcast_device_params* given) {
  self.error.clear();
  kvcast_device_params params{};
  if (given != nullptr && !player::read_versioned(given, params)) {
    return fail(self, KVCAST_USAGE, "kvcast_device_params: its size is not set");
  }
  self.room.reset();
  self.device.reset();
  auto device = kvcast::kernels::open_cuda_device(params.ordinal);
  if (!device) return fail(self, KVCAST_IO, device.fault().what);
  player::DeviceRoomParams room_params;
  room_params.max_sms = params.max_sms;
  if (params.ring_bytes > 0) room_params.ring_bytes = params.ring_bytes;
  if (params.compressed_bytes > 0) room_params.compressed_bytes = params.compressed_bytes;
  if (params.scratch_bytes > 0) room_params.scratch_bytes = params.scratch_bytes;
  self.device = std::move(*device);
  auto room = player::DeviceRoom::create(*self.device, room_params);
  if (!room) return fail(self, KVCAST_IO, room.error().message);
  self.room = std::move(*room);
  return KVCAST_OK;
}

}  // namespace

uint32_t kvcast_abi_version(void) {
  return KVCAST_ABI_VERSION;
}

void kvcast_params_init(kvcast_params* params, size_t size) {
  kvcast_params defaults = default_params();
  defaults.size = size;
  std::memset(params, 0, size);
  std::memcpy(params, &defaults, std::min(size, sizeof(defaults)));
}

int32_t kvcast_prefill_stopped(const kvcast_prefill* task) {
  return static_cast<const std::stop_token*>(task->stop)->stop_requested() ? 1 : 0;
}

kvcast_status kvcast_open(const kvcast_source* source, kvcast_player** out) {
  *out = nullptr;
  std::unique_ptr<kvcast_player> self;
  try {
    self = std::make_unique<kvcast_player>();
  } catch (...) {
    return KVCAST_INTERNAL;
  }
  const kvcast_status status = guarded(*self, [&] { return set_source(*self, source); });
  *out = self.release();
  return status;
}

kvcast_status kvcast_play(kvcast_player* self, const kvcast_params* params, const kvcast_sink* sink,
                          const kvcast_recompute* recompute) {
  const auto make_sink = [&](const std::stop_source& stop) {
    kvcast_sink table{};
    if (!player::read_versioned(sink, table) ||
        (table.destination == nullptr) == (table.write == nullptr)) {
      fail(*self, KVCAST_USAGE, "kvcast_sink: set size, and either destination or write");
      return std::unique_ptr<player::CallbackSink>();
    }
    return std::make_unique<player::CallbackSink>(table, stop);
  };
  return guarded(*self, [&] { return play(*self, params, recompute, make_sink); });
}

kvcast_status kvcast_use_device(kvcast_player* self, const kvcast_device_params* params) {
  return guarded(*self, [&] { return use_device(*self, params); });
}

kvcast_status kvcast_play_device(kvcast_player* self, const kvcast_params* params,
                                 const kvcast_device_sink* sink,
                                 const kvcast_recompute* recompute) {
  const auto make_sink = [&](const std::stop_source& /*stop*/) {
    kvcast_device_sink table{};
    const bool sound = player::read_versioned(sink, table) && table.prepare != nullptr;
    if (!self->room || !sound) {
      fail(*self, KVCAST_USAGE,
           self->room ? "kvcast_device_sink: set size and prepare"
                      : "no device: call kvcast_use_device first");
      return std::unique_ptr<player::DeviceCallbackSink>();
    }
    return std::make_unique<player::DeviceCallbackSink>(*self->room, table);
  };
  return guarded(*self, [&] { return play(*self, params, recompute, make_sink); });
}

void kvcast_cancel(kvcast_player* self) {
  std::stop_source stop{std::nostopstate};
  {
    const std::lock_guard lock(self->mutex);
    stop = self->stop;
  }
  stop.request_stop();  // runs callbacks: not under the lock
}

const char* kvcast_report_json(const kvcast_player* self) {
  return self->report.c_str();
}

const char* kvcast_error(const kvcast_player* self) {
  return self->error.c_str();
}

void kvcast_free(kvcast_player* self) {
  delete self;
}
