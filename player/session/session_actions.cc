// What to do: the controller's choice, carried out.
#include <fmt/format.h>

#include <algorithm>

#include "player/session/ladders.h"
#include "player/session/session.h"

namespace kvcast::player {

void Session::apply_transfers(const Choice& choice) {
  for (const Cancel& cancel : choice.cancel) {
    link_.cancel({Want::Kind::kPlane, cancel.chunk, cancel.plane});
    seen_.chunks[cancel.chunk].fetching &= ~(1u << cancel.plane);
    journal_.note("cancel", cancel.chunk, cancel.plane, cancel.reason);
  }
  for (const Fetch& fetch : choice.start) {
    DownloadRequest request;
    request.name = params_.exact ? fmt::format("chunk {} exact", fetch.chunk)
                                 : fmt::format("chunk {} plane {}", fetch.chunk, fetch.plane);
    request.object = object_of(presentation_, fetch.chunk, fetch.plane, params_.exact);
    if (!params_.exact) request.level = fetch.plane;
    request.priority = fetch.urgent ? Priority::kUrgent : Priority::kNormal;
    journal_.note("fetch", fetch.chunk, fetch.plane, fetch.reason,
                  {{"bytes", static_cast<double>(request.object->bytes)}});
    link_.start({Want::Kind::kPlane, fetch.chunk, fetch.plane}, std::move(request));
    seen_.chunks[fetch.chunk].fetching |= 1u << fetch.plane;
  }
}

// A recompute reads all KV before its chunk: it starts once nothing there is being decoded, and
// apply_decodes starts nothing there meanwhile.
void Session::apply_recompute(const Choice& choice) {
  wanted_recompute_ = seen_.frozen ? std::nullopt : choice.recompute;
  if (const auto running = recomputing_.chunk()) {
    if (running != wanted_recompute_ && !recomputing_.cancelling()) {
      recomputing_.cancel();
      journal_.note("recompute_stop", *running, {},
                    wanted_recompute_ ? "another chunk comes first" : "it would end too late");
    }
    return;
  }
  if (!wanted_recompute_ || committing_ || !recomputing_.available()) return;
  for (uint32_t c = 0; c < *wanted_recompute_; ++c) {
    if (seen_.chunks[c].decoding_level >= 0 || !seen_.chunks[c].in_sink()) return;
  }
  recomputing_.start(*wanted_recompute_);
  journal_.note("recompute", *wanted_recompute_, {}, choice.recompute_reason,
                {{"expected_s", seen_.chunks[*wanted_recompute_].recompute_s}});
}

// How many of the chosen decodes had to wait.
size_t Session::apply_decodes(const Choice& choice) {
  const std::optional<uint32_t> reader =
      recomputing_.chunk() ? recomputing_.chunk() : wanted_recompute_;
  std::vector<Decoding::Order> orders;
  if (decoding_.ready()) {
    for (const Decode& decode : choice.decode) {
      const bool read = reader && decode.chunk < *reader &&
                        (recomputing_.chunk() || seen_.chunks[decode.chunk].in_sink());
      if (read || committing_ == decode.chunk) continue;
      orders.push_back({decode.chunk, decode.level});
      seen_.chunks[decode.chunk].decoding_level = static_cast<int>(decode.level);
      journal_.note("decode", decode.chunk, {}, decode.reason,
                    {{"level", static_cast<double>(decode.level)}});
    }
  }
  decoding_.submit(orders);
  return choice.decode.size() - orders.size();
}

// From here on only what is already here is decoded. A finished recompute that still waits for a
// decode of its chunk is dropped: the chunk is in hand without it.
void Session::freeze(const Choice& choice) {
  seen_.frozen = true;
  freeze_at_s_ = seen_.now_s;
  for (ChunkState& chunk : seen_.chunks) chunk.fetching = 0;
  link_.cancel_all();
  committing_.reset();
  journal_.note("freeze", {}, {}, choice.freeze_reason,
                {{"rate_bytes_per_s", seen_.rate_bytes_per_s}});
}

// A chunk that was in hand turned out not to decode, before any layer was handed over.
void Session::thaw() {
  seen_.frozen = false;
  journal_.note("thaw", {}, {}, "a chunk that was here does not decode");
}

// Once all chunks are in the sink, further decodes only better them, and a layer group without any
// is final.
void Session::hand_layers_over() {
  for (const ChunkState& chunk : seen_.chunks) {
    if (chunk.in_sink()) continue;
    if (!chunk.in_hand() && decoding_.active() == 0) thaw();
    return;
  }
  group_handed_.resize(decoding_.groups());
  bool all = true;
  for (uint32_t group = 0; group < decoding_.groups(); ++group) {
    all = all && !decoding_.group_active(group);
    if (decoding_.group_active(group) || group_handed_[group]) continue;
    group_handed_[group] = true;
    const kernels::LayerGroup& layers = decoding_.group(group);
    for (uint32_t i = 0; i < layers.layers; ++i) sink_.layer_ready(layers.first_layer + i);
  }
  if (!all) return;
  handed_over_ = true;
  ready_at_s_ = journal_.now_s();
  journal_.note("ready", {}, {},
                fmt::format("all layers handed over, {:.1f} ms after the freeze",
                            (ready_at_s_ - freeze_at_s_) * 1e3));
}

PlayReport Session::report() const {
  PlayReport report;
  report.presentation = presentation_.manifest.id;
  report.controller = params_.controller;
  report.tokens = presentation_.tokens;
  report.ttft_slo_ms = params_.ttft_slo_ms;
  report.suffix_prefill_ms = suffix_prefill_s_ * 1e3;
  report.freeze_ms = freeze_at_s_ * 1e3;
  report.kv_ready_ms = ready_at_s_ * 1e3;
  report.ttft_ms = report.kv_ready_ms + report.suffix_prefill_ms;
  report.met = report.ttft_ms <= report.ttft_slo_ms;
  report.bytes_fetched = link_.bytes_fetched();
  report.raw_bytes =
      presentation_.tokens * presentation_.geometry.bytes_per_token(presentation_.dtype);
  report.gpu_seconds = gpu_seconds_;
  report.requests = link_.requests();
  report.retries = link_.retries();
  report.failures = link_.failures();
  report.decision_max_ms = decision_max_s_ * 1e3;
  for (uint32_t c = 0; c < seen_.chunks.size(); ++c) {
    const ChunkState& chunk = seen_.chunks[c];
    const manifests::ChunkEntry& entry = presentation_.manifest.chunks[c];
    ChunkReport& row = report.chunks.emplace_back();
    row = {entry.token_begin,   entry.token_end, chunk.recomputed, {}, false, 1.0,
           link_.chunk_bytes(c)};
    report.bytes_unused += row.bytes_fetched;
    if (chunk.recomputed) {
      report.recomputed_tokens += chunk.tokens;
    } else {
      row.exact = params_.exact;
      if (!params_.exact) row.level = static_cast<uint32_t>(chunk.decoded_level);
      row.quality = chunk.ladder[chunk.decoded_level].quality;
      for (int n = 0; n <= chunk.decoded_level; ++n) {
        report.bytes_unused -= std::min(report.bytes_unused, chunk.ladder[n].bytes);
      }
    }
    report.quality +=
        row.quality * static_cast<double>(chunk.tokens) / static_cast<double>(presentation_.tokens);
  }
  return report;
}

}  // namespace kvcast::player
