#include "player/testing/virtual_play.h"

#include <algorithm>
#include <limits>

#include "player/estimator.h"

namespace kvcast::player {
namespace {

struct Transfer {
  uint32_t chunk = 0, plane = 0;
  double begins_s = 0;  // first byte
  double left_bytes = 0;
};

class Run {
 public:
  Run(const Controller& controller, const VirtualPlay& play)
      : controller_(controller), play_(play) {
    seen_.chunks = play.chunks;
    seen_.deadline_s = play.deadline_s;
    seen_.recompute_available = play.recompute_available;
    seen_.finish_early = play.finish_early;
    seen_.gpu_seconds_price = play.gpu_seconds_price;
  }

  VirtualOutcome run() {
    for (; now_s_ < play_.give_up_s && !out_.complete; now_s_ += play_.step_s) {
      receive();
      recompute();
      decode();
      act();
    }
    out_.chunks = seen_.chunks;
    uint64_t tokens = 0;
    for (const ChunkState& chunk : seen_.chunks) {
      tokens += chunk.tokens;
      const double quality = chunk.recomputed          ? 1
                             : chunk.decoded_level < 0 ? 0
                                                       : chunk.ladder[chunk.decoded_level].quality;
      out_.quality += quality * static_cast<double>(chunk.tokens);
    }
    out_.quality /= static_cast<double>(tokens);
    return std::move(out_);
  }

 private:
  void receive() {
    double budget = play_.rate_bytes_per_s(now_s_) * play_.step_s;
    while (budget > 1e-3) {  // bytes
      const auto open = [&](const Transfer& t) { return t.begins_s <= now_s_ && t.left_bytes > 0; };
      const auto sharers = std::count_if(transfers_.begin(), transfers_.end(), open);
      if (sharers == 0) break;
      double share = budget / static_cast<double>(sharers);
      for (const Transfer& t : transfers_) {
        if (open(t)) share = std::min(share, t.left_bytes);
      }
      for (Transfer& t : transfers_) {
        if (!open(t)) continue;
        t.left_bytes = t.left_bytes - share < 0.5 ? 0 : t.left_bytes - share;
        budget -= share;
        received_ += share;
      }
    }
    std::erase_if(transfers_, [&](const Transfer& t) {
      if (t.left_bytes > 0) return false;
      ChunkState& chunk = seen_.chunks[t.chunk];
      chunk.fetching &= ~(1u << t.plane);
      chunk.held |= 1u << t.plane;
      return true;
    });
  }

  void recompute() {
    if (!seen_.recomputing) return;
    seen_.recompute_elapsed_s += play_.step_s;
    out_.gpu_s += play_.step_s;
    ChunkState& chunk = seen_.chunks[*seen_.recomputing];
    if (seen_.recompute_elapsed_s < chunk.recompute_s) return;
    chunk.recomputed = true;
    seen_.recomputing.reset();
  }

  void decode() {
    double budget = play_.step_s;
    while (!decodes_.empty() && budget > 0) {
      auto& [c, left_s] = decodes_.front();
      const double spent = std::min(budget, left_s);
      budget -= spent;
      left_s -= spent;
      if (left_s > 0) return;
      seen_.chunks[c].decoded_level = seen_.chunks[c].decoding_level;
      seen_.chunks[c].decoding_level = -1;
      decodes_.erase(decodes_.begin());
    }
  }

  void look() {
    seen_.now_s = now_s_;
    double pending_s = 0;
    for (const ChunkState& chunk : seen_.chunks) {
      const int level = std::min(std::max(chunk.coming_level(), chunk.min_level), chunk.max_level);
      if (!chunk.recomputed && level > chunk.decoded_level)
        pending_s += chunk.ladder[level].decode_s;
    }
    seen_.freeze_s = freeze_time(play_.deadline_s, play_.suffix_prefill_s, pending_s);
    seen_.rate_bytes_per_s = received_ > 16384 ? play_.rate_bytes_per_s(now_s_) : 0;
    seen_.ttfb_s = play_.ttfb_s;
    double in_flight = 0;
    for (const Transfer& t : transfers_) in_flight += t.left_bytes;
    seen_.in_flight_bytes = static_cast<uint64_t>(in_flight);
    seen_.free_transfers = play_.connections - static_cast<uint32_t>(transfers_.size());
    seen_.free_decodes = decodes_.empty() ? 1 : 0;
  }

  void act() {
    look();
    const Choice choice = controller_.decide(seen_);
    for (const Cancel& cancel : choice.cancel) {
      seen_.chunks[cancel.chunk].fetching &= ~(1u << cancel.plane);
      std::erase_if(transfers_, [&](const Transfer& t) {
        return t.chunk == cancel.chunk && t.plane == cancel.plane;
      });
    }
    for (const Fetch& fetch : choice.start) {
      ChunkState& chunk = seen_.chunks[fetch.chunk];
      out_.fetches.push_back(fetch);
      if (play_.lost && play_.lost(fetch.chunk, fetch.plane)) {
        chunk.max_level = std::min(chunk.max_level, static_cast<int>(fetch.plane) - 1);
        continue;
      }
      chunk.fetching |= 1u << fetch.plane;
      const uint64_t bytes = chunk.ladder[fetch.plane].bytes;
      out_.bytes += bytes;
      transfers_.push_back(
          {fetch.chunk, fetch.plane, now_s_ + play_.ttfb_s, static_cast<double>(bytes)});
    }
    if (seen_.recomputing != choice.recompute) seen_.recompute_elapsed_s = 0;
    seen_.recomputing = choice.recompute;
    for (const Decode& decode : choice.decode) {
      ChunkState& chunk = seen_.chunks[decode.chunk];
      chunk.decoding_level = static_cast<int>(decode.level);
      decodes_.emplace_back(decode.chunk, chunk.ladder[decode.level].decode_s);
    }
    if (choice.freeze) {
      seen_.frozen = true;
      transfers_.clear();
    }
    if (seen_.frozen && !choice.freeze && decodes_.empty() && choice.decode.empty()) {
      out_.complete = true;
      out_.ttft_s = now_s_ + play_.suffix_prefill_s;
    }
  }

  const Controller& controller_;
  const VirtualPlay& play_;
  Observation seen_;
  VirtualOutcome out_;
  std::vector<Transfer> transfers_;
  std::vector<std::pair<uint32_t, double>> decodes_;
  double now_s_ = 0, received_ = 0;
};

}  // namespace

VirtualOutcome run_virtual(const Controller& controller, const VirtualPlay& play) {
  return Run(controller, play).run();
}

double optimum_ttft_s(const VirtualPlay& play) {
  double best = std::numeric_limits<double>::infinity();
  for (size_t k = 0; k <= play.chunks.size(); ++k) {
    double engine_s = 0, bytes = 0;
    for (size_t c = 0; c < play.chunks.size(); ++c) {
      const ChunkState& chunk = play.chunks[c];
      if (c < k) engine_s += chunk.recompute_s;
      for (int n = 0; c >= k && n <= chunk.min_level; ++n) {
        bytes += static_cast<double>(chunk.ladder[n].bytes);
      }
    }
    if (k > 0 && !play.recompute_available) break;
    double link_s = 0;
    for (; bytes > 0 && link_s < play.give_up_s; link_s += play.step_s) {
      bytes -= play.rate_bytes_per_s(link_s) * play.step_s;
    }
    best = std::min(best, std::max(engine_s, k == play.chunks.size() ? 0 : link_s + play.ttfb_s));
  }
  return best + play.suffix_prefill_s;
}

}  // namespace kvcast::player
