// What the session does with a choice (session/session_actions.cc), in virtual time.
#include <algorithm>

#include "player/simulator/run.h"

namespace kvcast::player {
namespace {

constexpr uint32_t kDecodeThreads = 2;  // chunks that the pool takes at once

}  // namespace

void SimulatedRun::look() {
  seen_.now_s = now_s_;
  seen_.rate_bytes_per_s = rate_.bytes_per_s(now_s_);
  seen_.ttfb_s = ttfb_.spread().median;
  samples_.latest(now_s_, seen_.history);
  double in_flight = link_.in_flight_bytes();
  for (const Queued& queued : queue_) in_flight += static_cast<double>(queued.bytes);
  seen_.in_flight_bytes = static_cast<uint64_t>(in_flight);
  const auto running = static_cast<uint32_t>(link_.running() + queue_.size());
  seen_.free_transfers = params_.connections - std::min(params_.connections, running);
  const auto decoding = static_cast<uint32_t>(decodes_.size());
  seen_.free_decodes = profile_here_ ? kDecodeThreads - std::min(kDecodeThreads, decoding) : 0;
  seen_.recompute_available = params_.recompute;
  seen_.engine_slack = slack_.value();
  double pending_s = 0;
  for (const ChunkState& chunk : seen_.chunks) {
    if (chunk.recomputed) continue;
    const int level = std::min(std::max(chunk.coming_level(), chunk.min_level), chunk.max_level);
    if (level > chunk.decoded_level) pending_s += chunk.ladder[level].decode_s;
  }
  seen_.freeze_s = freeze_time(seen_.deadline_s,
                               params_.suffix_prefill_s * std::max(1.0, engine_ratio_), pending_s);
}

bool SimulatedRun::decide() {
  look();
  const Choice choice = controller_.decide(seen_);
  ++out_.decisions;
  if (params_.on_decision) params_.on_decision(seen_, choice);
  if (choice.freeze && !seen_.frozen && can_finish()) {
    freeze(choice.freeze_reason);
    return decide();
  }
  if (!seen_.frozen) apply_transfers(choice);
  apply_recompute(choice);
  const size_t waiting = apply_decodes(choice);
  if (!seen_.frozen || waiting > 0 || seen_.recomputing || !decodes_.empty()) return false;
  out_.complete = std::all_of(seen_.chunks.begin(), seen_.chunks.end(),
                              [](const ChunkState& chunk) { return chunk.in_sink(); });
  if (out_.complete && listened_to()) note(now_s_, "ready", {}, {}, "all layers handed over");
  return out_.complete;
}

bool SimulatedRun::can_finish() const {
  return profile_here_ || std::all_of(seen_.chunks.begin(), seen_.chunks.end(),
                                      [](const ChunkState& chunk) { return chunk.in_sink(); });
}

void SimulatedRun::freeze(const std::string& reason) {
  seen_.frozen = true;
  out_.freeze_s = now_s_;
  if (listened_to()) {
    note(now_s_, "freeze", {}, {}, reason, {{"rate_bytes_per_s", seen_.rate_bytes_per_s}});
  }
  for (ChunkState& chunk : seen_.chunks) chunk.fetching = 0;
  link_.cancel_all(now_s_);
  queue_.clear();
  committing_.reset();
}

void SimulatedRun::apply_transfers(const Choice& choice) {
  for (const Cancel& cancel : choice.cancel) {
    const uint64_t id = plane_id(cancel.chunk, cancel.plane);
    if (link_.cancel(id, now_s_)) {
      rate_.body_ends(now_s_);
      samples_.body_ends(now_s_);
    }
    std::erase_if(queue_, [&](const Queued& queued) { return queued.id == id; });
    seen_.chunks[cancel.chunk].fetching &= ~(1u << cancel.plane);
    if (listened_to()) note(now_s_, "cancel", cancel.chunk, cancel.plane, cancel.reason);
  }
  for (const Fetch& fetch : choice.start) {
    ChunkState& chunk = seen_.chunks[fetch.chunk];
    if (params_.lost && params_.lost(fetch.chunk, fetch.plane)) {
      chunk.max_level = std::min(chunk.max_level, static_cast<int>(fetch.plane) - 1);
      chunk.held &= (1u << fetch.plane) - 1;
      if (listened_to()) note(now_s_, "plane_lost", fetch.chunk, fetch.plane, "not to be had");
      continue;
    }
    chunk.fetching |= 1u << fetch.plane;
    if (listened_to()) {
      note(now_s_, "fetch", fetch.chunk, fetch.plane, fetch.reason,
           {{"bytes", static_cast<double>(chunk.ladder[fetch.plane].bytes)}});
    }
    queue_.push_back(
        {plane_id(fetch.chunk, fetch.plane), chunk.ladder[fetch.plane].bytes, fetch.urgent});
  }
  start_queued();
}

// As the downloader: urgent ones first, else in order.
void SimulatedRun::start_queued() {
  while (!queue_.empty() && link_.running() < params_.connections) {
    auto next = std::find_if(queue_.begin(), queue_.end(),
                             [](const Queued& queued) { return queued.urgent; });
    if (next == queue_.end()) next = queue_.begin();
    link_.start(next->id, next->bytes, now_s_);
    queue_.erase(next);
  }
}

void SimulatedRun::apply_recompute(const Choice& choice) {
  wanted_recompute_ = seen_.frozen ? std::nullopt : choice.recompute;
  if (seen_.recomputing) {
    if (seen_.recomputing == wanted_recompute_) return;
    if (listened_to()) {
      note_end_of_recompute(
          now_s_, "recompute_cancelled",
          wanted_recompute_ ? "another chunk comes first" : "it would end too late");
    }
    seen_.recomputing.reset();
    seen_.recompute_elapsed_s = 0;
  }
  if (!wanted_recompute_ || committing_) return;
  for (uint32_t c = 0; c < *wanted_recompute_; ++c) {
    if (seen_.chunks[c].decoding_level >= 0 || !seen_.chunks[c].in_sink()) return;
  }
  seen_.recomputing = wanted_recompute_;
  seen_.recompute_elapsed_s = 0;
  if (listened_to()) {
    note(now_s_, "recompute", seen_.recomputing, {}, choice.recompute_reason,
         {{"expected_s", seen_.chunks[*seen_.recomputing].recompute_s}});
  }
}

size_t SimulatedRun::apply_decodes(const Choice& choice) {
  const std::optional<uint32_t> reader = seen_.recomputing ? seen_.recomputing : wanted_recompute_;
  size_t waiting = 0;
  for (const Decode& decode : choice.decode) {
    ChunkState& chunk = seen_.chunks[decode.chunk];
    const bool read = reader && decode.chunk < *reader && (seen_.recomputing || chunk.in_sink());
    if (!profile_here_ || read || committing_ == decode.chunk) {
      ++waiting;
      continue;
    }
    chunk.decoding_level = static_cast<int>(decode.level);
    if (listened_to()) {
      note(now_s_, "decode", decode.chunk, {}, decode.reason,
           {{"level", static_cast<double>(decode.level)}});
    }
    decodes_.push_back({decode.chunk, decode.level,
                        presentation_.chunks[decode.chunk].ladder[decode.level].decode_s});
  }
  return waiting;
}

}  // namespace kvcast::player
