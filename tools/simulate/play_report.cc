#include "tools/simulate/play_report.h"

#include <algorithm>
#include <cmath>

#include "player/controller.h"

namespace kvcast::simulate {
namespace {

using manifests::Result;
using manifests::Status;
using player::ChunkState;
using player::PlayEvent;
using player::PlayReport;

std::vector<player::ChunkReport> chunk_reports(const player::SimulatedPlay& play,
                                               const std::vector<PlayEvent>& events) {
  std::vector<player::ChunkReport> rows;
  uint64_t begin = 0;
  for (const ChunkState& chunk : play.chunks) {
    player::ChunkReport& row = rows.emplace_back();
    row.token_begin = begin;
    row.token_end = begin += chunk.tokens;
    row.recomputed = chunk.recomputed;
    if (chunk.recomputed) {
      row.quality = 1;
    } else if (chunk.decoded_level >= 0) {
      row.level = static_cast<uint32_t>(chunk.decoded_level);
      row.quality = chunk.ladder[chunk.decoded_level].quality;
    }
  }
  for (const PlayEvent& event : events) {
    if (event.what != "complete" || !event.chunk) continue;
    for (const auto& [name, value] : event.numbers) {
      if (name == "received_bytes")
        rows[*event.chunk].bytes_fetched += static_cast<uint64_t>(value);
    }
  }
  return rows;
}

// Of the planes that came whole, what no delivered chunk is made of; and what of the others came.
uint64_t unused_bytes(const player::SimulatedPlay& play,
                      const player::SimulatedPresentation& presentation) {
  double used = static_cast<double>(presentation.manifest_bytes + presentation.profile_bytes);
  for (const ChunkState& chunk : play.chunks) {
    for (int n = 0; n <= chunk.decoded_level && !chunk.recomputed; ++n) {
      used += static_cast<double>(chunk.ladder[n].bytes);
    }
  }
  return static_cast<uint64_t>(std::max(0.0, play.bytes - used));
}

}  // namespace

Result<ReportedPlay> report_play(const player::SimulatedPresentation& presentation,
                                 const player::LinkTrace& link,
                                 const player::SimulationParams& params, const std::string& name) {
  const auto controller = player::make_controller(name);
  if (!controller) return controller.error();
  ReportedPlay made;
  player::SimulationParams listened = params;
  listened.on_event = [&made](const PlayEvent& event) { made.events.push_back(event); };
  const player::SimulatedPlay play = simulate_play(**controller, presentation, link, listened);
  PlayReport& report = made.report;
  report.presentation = presentation.name + ", simulated";
  report.controller = name;
  report.ttft_slo_ms = params.ttft_slo_s * 1e3;
  report.suffix_prefill_ms = params.suffix_prefill_s * 1e3;
  report.freeze_ms = play.freeze_s * 1e3;
  report.ttft_ms = play.ttft_s * 1e3;
  report.kv_ready_ms = report.ttft_ms - report.suffix_prefill_ms;
  report.met = play.met;
  report.bytes_fetched = static_cast<uint64_t>(std::llround(play.bytes));
  report.bytes_unused = unused_bytes(play, presentation);
  report.raw_bytes = presentation.raw_bytes;
  report.gpu_seconds = play.gpu_seconds;
  report.quality = play.quality;
  report.chunks = chunk_reports(play, made.events);
  for (const player::ChunkReport& chunk : report.chunks) {
    report.tokens = chunk.token_end;
    if (chunk.recomputed) report.recomputed_tokens += chunk.token_end - chunk.token_begin;
  }
  for (const PlayEvent& event : made.events) {
    report.requests += event.what == "fetch" || (event.what == "complete" && !event.chunk);
  }
  const double end_s = std::max(play.ttft_s, params.ttft_slo_s);
  for (double at_s = 0; at_s < end_s; at_s = link.next_change_s(at_s)) {
    const double rate = link.bytes_per_s_at(at_s);
    if (made.link.empty() || made.link.back().bytes_per_s != rate)
      made.link.push_back({at_s, rate});
  }
  return made;
}

Status write_play_report(const std::string& folder,
                         const player::SimulatedPresentation& presentation,
                         const player::LinkTrace& link, const player::SimulationParams& params,
                         const std::string& controller) {
  const auto made = report_play(presentation, link, params, controller);
  if (!made) return made.error();
  return write_report(folder, made->report, made->events, made->link);
}

}  // namespace kvcast::simulate
