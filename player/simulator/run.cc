#include "player/simulator/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kvcast::player {
namespace {

constexpr double kRounding_s = 1e-9;
constexpr double kForget = 0.85;
constexpr double kLateTicks = 4;  // a play that is late anyway need not be looked at so often

}  // namespace

SimulatedRun::SimulatedRun(const Controller& controller, const SimulatedPresentation& presentation,
                           const LinkTrace& trace, const SimulationParams& params)
    : controller_(controller), presentation_(presentation), params_(params), link_(trace, params) {
  seen_.chunks = presentation.chunks;
  for (ChunkState& chunk : seen_.chunks) {
    for (Rung& rung : chunk.ladder) rung.decode_s = 0;  // not known yet
  }
  seen_.deadline_s = params.ttft_slo_s;
  seen_.gpu_seconds_price = params.gpu_seconds_price;
  seen_.finish_early = params.finish_early;
  profile_here_ = presentation.profile_bytes == 0;
}

SimulatedPlay SimulatedRun::run() {
  link_.start(kManifestId, presentation_.manifest_bytes, 0, false);
  const double give_up_s = params_.give_up_slos * params_.ttft_slo_s;
  while (now_s_ < give_up_s) {
    const bool happened = advance(next_s());
    if (!opened_) continue;
    const double tick_s = params_.tick_s * (now_s_ > params_.ttft_slo_s ? kLateTicks : 1);
    const bool freeze_is_due = decided_s_ < seen_.freeze_s && now_s_ >= seen_.freeze_s;
    if (!happened && !freeze_is_due && now_s_ < decided_s_ + tick_s) continue;
    decided_s_ = now_s_;
    if (decide() || stuck()) break;
  }
  return outcome();
}

double SimulatedRun::next_s() {
  const double tick_s = params_.tick_s * (now_s_ > params_.ttft_slo_s ? kLateTicks : 1);
  double limit_s = decided_s_ + tick_s;
  if (!opened_) limit_s = now_s_ + 1;
  if (opened_ && now_s_ < seen_.freeze_s) limit_s = std::min(limit_s, seen_.freeze_s);
  if (seen_.recomputing) {
    const double all_s =
        presentation_.chunks[*seen_.recomputing].recompute_s * params_.engine_slowdown;
    limit_s = std::min(limit_s, now_s_ + all_s - seen_.recompute_elapsed_s);
  }
  if (!decodes_.empty()) limit_s = std::min(limit_s, now_s_ + decodes_.front().left_s);
  return link_.next_event_s(now_s_, std::max(now_s_, limit_s));
}

bool SimulatedRun::advance(double to_s) {
  const double seconds = to_s - now_s_;
  const bool received = receive(to_s);
  now_s_ = to_s;
  const bool recomputed = recompute(seconds);
  const bool decoded = decode(seconds);
  return received || recomputed || decoded;
}

bool SimulatedRun::receive(double to_s) {
  const FluidLink::Passed passed = link_.advance(now_s_, to_s);
  out_.bytes += passed.bytes;
  if (passed.measured_bytes > 0) {
    uncounted_bytes_ += passed.measured_bytes;
    const double whole = std::floor(uncounted_bytes_);
    uncounted_bytes_ -= whole;
    rate_.data(to_s, static_cast<uint64_t>(whole));
    samples_.data(to_s, passed.measured_bytes);
  }
  for (const FluidLink::Transfer& transfer : passed.began) {
    if (transfer.measured) rate_.body_begins(to_s);
    if (transfer.measured) samples_.body_begins(to_s);
    ttfb_.add(std::max(1e-6, params_.rtt_s + params_.server_s));
  }
  for (const FluidLink::Transfer& transfer : passed.ended) {
    if (transfer.measured) rate_.body_ends(to_s);
    if (transfer.measured) samples_.body_ends(to_s);
    take_transfer(transfer.id);
    if (listened_to()) note_complete(to_s, transfer.id);
  }
  if (!passed.ended.empty()) {
    now_s_ = to_s;
    start_queued();
  }
  return !passed.began.empty() || !passed.ended.empty();
}

void SimulatedRun::take_transfer(uint64_t id) {
  if (id == kManifestId) {
    opened_ = true;
    if (!profile_here_) queue_.push_back({kProfileId, presentation_.profile_bytes, true});
  } else if (id == kProfileId) {
    profile_here_ = true;
  } else {
    const auto c = static_cast<uint32_t>((id - kFirstPlaneId) / kIdsPerChunk);
    const auto plane = static_cast<uint32_t>((id - kFirstPlaneId) % kIdsPerChunk);
    seen_.chunks[c].fetching &= ~(1u << plane);
    if (!seen_.chunks[c].recomputed) seen_.chunks[c].held |= 1u << plane;
  }
}

bool SimulatedRun::recompute(double seconds) {
  bool happened = false;
  if (seen_.recomputing) {
    const uint32_t c = *seen_.recomputing;
    const double all_s = presentation_.chunks[c].recompute_s * params_.engine_slowdown;
    seen_.recompute_elapsed_s += seconds;
    out_.gpu_seconds += seconds;
    if (seen_.recompute_elapsed_s >= all_s - 1e-12) {
      if (listened_to()) note_end_of_recompute(now_s_, "recomputed", "done");
      slack_.add(seen_.chunks[c].recompute_s, all_s);
      const double ratio = all_s / std::max(1e-12, presentation_.chunks[c].recompute_s);
      engine_weight_ = kForget * engine_weight_ + 1;
      engine_ratio_ += (ratio - engine_ratio_) / engine_weight_;
      predict();
      committing_ = c;
      seen_.recomputing.reset();
      seen_.recompute_elapsed_s = 0;
      happened = true;
    }
  }
  if (committing_ && seen_.chunks[*committing_].decoding_level < 0) {
    seen_.chunks[*committing_].recomputed = true;
    committing_.reset();
    happened = true;
  }
  return happened;
}

bool SimulatedRun::decode(double seconds) {
  bool happened = false;
  while (!decodes_.empty() && decodes_.front().left_s <= seconds + 1e-12) {
    seconds -= decodes_.front().left_s;
    ChunkState& chunk = seen_.chunks[decodes_.front().chunk];
    chunk.decoded_level = static_cast<int>(decodes_.front().level);
    chunk.decoding_level = -1;
    if (listened_to()) {
      note(now_s_, "decoded", decodes_.front().chunk, {},
           fmt::format("level {}", chunk.decoded_level));
    }
    decodes_.erase(decodes_.begin());
    if (!decoded_any_) {
      decoded_any_ = true;
      predict();
    }
    happened = true;
  }
  if (!decodes_.empty()) decodes_.front().left_s -= seconds;
  return happened;
}

// What the session's estimators would say.
void SimulatedRun::predict() {
  for (size_t c = 0; c < seen_.chunks.size(); ++c) {
    const ChunkState& truth = presentation_.chunks[c];
    seen_.chunks[c].recompute_s = truth.recompute_s * engine_ratio_;
    for (size_t n = 0; n < truth.ladder.size(); ++n) {
      seen_.chunks[c].ladder[n].decode_s = decoded_any_ ? truth.ladder[n].decode_s : 0;
    }
  }
}

bool SimulatedRun::stuck() const {
  if (link_.running() > 0 || !queue_.empty() || !decodes_.empty() || seen_.recomputing ||
      committing_) {
    return false;
  }
  return std::any_of(seen_.chunks.begin(), seen_.chunks.end(),
                     [](const ChunkState& chunk) { return !chunk.in_sink(); });
}

SimulatedPlay SimulatedRun::outcome() const {
  SimulatedPlay out = out_;
  double tokens = 0;
  for (const ChunkState& chunk : seen_.chunks) {
    const auto weight = static_cast<double>(chunk.tokens);
    tokens += weight;
    if (chunk.recomputed) {
      out.quality += weight;
    } else if (chunk.decoded_level >= 0) {
      out.quality += weight * chunk.ladder[chunk.decoded_level].quality;
    }
  }
  out.quality /= std::max(1.0, tokens);
  out.ttft_s = (out.complete ? now_s_ : params_.give_up_slos * params_.ttft_slo_s) + suffix_s();
  out.met = out.complete && out.ttft_s <= params_.ttft_slo_s + kRounding_s;
  out.chunks = seen_.chunks;
  return out;
}

SimulatedPlay simulate_play(const Controller& controller, const SimulatedPresentation& presentation,
                            const LinkTrace& link, const SimulationParams& params) {
  return SimulatedRun(controller, presentation, link, params).run();
}

}  // namespace kvcast::player
