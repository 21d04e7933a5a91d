#include "player/chaos/course.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

namespace kvcast::player {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Result;

const Sample& chaos_sample(bool text, uint32_t bases) {
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

manifests::Status MaybeFullSink::prepare(const KvShape& shape, const manifests::KvFileInfo& about) {
  if (full_) return Error{ErrorKind::kIo, "the sink is full"};
  return HostKvSink::prepare(shape, about);
}

Result<RecomputeOutcome> VirtualEngine::prefill(const RecomputeTask& task, std::stop_token stop) {
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

PlayParams chaos_params(const Schedule& schedule) {
  PlayParams params;
  params.ttft_slo_ms = schedule.slo_ms;
  params.min_level = schedule.min_level;
  params.decode_threads = 0;
  params.start_ns = 0;
  params.download.seed = schedule.seed;
  return params;
}

Played play_schedule_into(const Schedule& schedule, const PlayParams& params, KvSink& sink) {
  const Sample& of = chaos_sample(schedule.text, schedule.bases);
  ChaosNetwork network(of.files, schedule);
  VirtualEngine engine(of, schedule, network);
  Source source;
  source.manifest_url = of.manifest_url();
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
  return played;
}

Played play_schedule(const Schedule& schedule, const PlayParams& params) {
  MaybeFullSink sink(schedule.sink_full);
  Played played = play_schedule_into(schedule, params, sink);
  played.layers = sink.layers;
  if (!played.report) return played;
  const Sample& of = chaos_sample(schedule.text, schedule.bases);
  for (uint32_t c = 0; c < of.manifest.chunks.size(); ++c) {
    played.rows.push_back(rows_of(of, sink, c));
  }
  return played;
}

const std::vector<std::vector<std::vector<std::byte>>>& clean_rows() {
  static const auto all = [] {
    std::vector<std::vector<std::vector<std::byte>>> rows;
    for (uint32_t level = 0; level < chaos_sample(true, 1).manifest.levels; ++level) {
      Schedule calm;
      calm.slo_ms = 20'000;
      calm.engine = false;
      PlayParams params = chaos_params(calm);
      params.controller = fmt::format("fixed:{}", level);
      Played played = play_schedule(calm, params);
      if (!played.report) throw std::runtime_error(played.report.error().message);
      rows.push_back(std::move(played.rows));
    }
    return rows;
  }();
  return all;
}

}  // namespace kvcast::player
