#include "player/controller/layered.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>
#include <vector>

#include "player/controller/front.h"
#include "player/controller/knapsack.h"
#include "player/controller/plan.h"
#include "player/throughput.h"

namespace kvcast::player {
namespace {

// A base under way is dropped when recomputation ends in this share of the time that all transfers
// under way still take: they share the link.
constexpr double kOvertaken = 0.7;

// The engine may yet turn out to be so much slower. What it would then not reach in time may wait
// for it only while the link could bring it in this share of the time left.
constexpr double kDoubt = 1.5;
constexpr double kInsuredShare = 0.5;

// Upgrades make room when missing bases need more than this share of the time left.
constexpr double kHurryShare = 0.5;

// A chunk is far from the engine when that would take so many times what the link would.
constexpr double kFarAway = 2;
constexpr double kTick_s = 0.005;  // decisions are as far apart when nothing happens

// So many upgrades at once, or as many as bridge the wait for the next one's first byte: what is
// half done at the freeze is lost.
constexpr size_t kLeastUpgrades = 2;
constexpr double kBridgedWaits = 2;

class LayeredPlan {
 public:
  LayeredPlan(const Observation& seen, bool text) : seen_(seen), text_(text), front_(seen) {}

  Choice make() {
    if (text_) {
      front_.choose(choice_);
    } else if (const auto hole = recomputable_hole(seen_)) {
      choice_.recompute = hole;
      choice_.recompute_reason = "the network cannot bring it";
    }
    const bool in_hurry = hurry();
    cancel_needless(in_hurry);
    const bool bases_started = fetch_missing();
    const bool time_left = seen_.now_s < seen_.freeze_s && !in_hurry && !seen_.finish_early;
    if (bases_started && time_left) upgrade();
    decode_what_is_here(seen_, choice_);
    decide_freeze();
    return std::move(choice_);
  }

 private:
  double left_s() const { return seen_.freeze_s - seen_.now_s; }

  double arrival_s(uint64_t bytes) const {
    if (seen_.rate_bytes_per_s <= 0) return seen_.now_s;
    const double ahead = static_cast<double>(seen_.in_flight_bytes + started_bytes_ + bytes);
    return seen_.now_s + seen_.ttfb_s + ahead / seen_.rate_bytes_per_s;
  }

  void start(uint32_t c, uint32_t plane, bool urgent, std::string reason) {
    started_bytes_ += seen_.chunks[c].ladder[plane].bytes;
    choice_.start.push_back({c, plane, urgent, std::move(reason)});
  }

  bool room() const { return choice_.start.size() < seen_.free_transfers; }

  static uint32_t floor_planes(const ChunkState& chunk) { return (2u << chunk.min_level) - 1; }

  // Of the planes that a chunk cannot do without, and that are not in `here`.
  static double missing_bytes(const ChunkState& chunk, uint32_t here) {
    double bytes = 0;
    for (int n = 0; n <= chunk.min_level && chunk.network_can(); ++n) {
      if ((here >> n & 1) == 0) bytes += static_cast<double>(chunk.ladder[n].bytes);
    }
    return bytes;
  }

  bool engine_in_time(uint32_t c, double slack) const {
    return slack * front_.finish_s(c) <= left_s();
  }

  // Chunks before it leave their bases to recomputation.
  uint32_t first_that_cannot_wait() const {
    if (seen_.finish_early) return 0;
    const double doubt = std::max(kDoubt, seen_.engine_slack);
    double bytes = static_cast<double>(seen_.in_flight_bytes);
    uint32_t c = 0;
    for (; c < seen_.chunks.size(); ++c) {
      if (seen_.chunks[c].recomputed || engine_in_time(c, doubt)) continue;
      if (!engine_in_time(c, seen_.engine_slack)) break;
      bytes += missing_bytes(seen_.chunks[c], seen_.chunks[c].held | seen_.chunks[c].fetching);
      if (bytes > kInsuredShare * left_s() * seen_.rate_bytes_per_s) break;
    }
    return c;
  }

  // Whether bases that are missing, and that recomputation will not reach, leave the link no time
  // for anything else.
  bool hurry() const {
    double bytes = 0;
    for (uint32_t c = front_.reach(); c < seen_.chunks.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      if (!chunk.in_hand()) bytes += missing_bytes(chunk, chunk.held);
    }
    return bytes > 0 && bytes > kHurryShare * left_s() * seen_.rate_bytes_per_s;
  }

  void cancel_needless(bool in_hurry) {
    cancel_recomputed(seen_, choice_);
    const double rate = seen_.rate_bytes_per_s;
    const double all_here_s = rate > 0 ? static_cast<double>(seen_.in_flight_bytes) / rate : 0;
    for (uint32_t c = 0; c < seen_.chunks.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.recomputed) continue;
      if (!chunk.in_hand() && engine_in_time(c, seen_.engine_slack) &&
          front_.finish_s(c) < kOvertaken * all_here_s) {
        cancel_planes(c, chunk.fetching, "recomputation is sooner", choice_);
      } else if (in_hurry) {
        cancel_planes(c, chunk.fetching & ~floor_planes(chunk), "makes room for missing bases",
                      choice_);
      }
    }
  }

  // The engine is so far from a chunk that the link will have to bring it, whatever it does first.
  bool surely_needed(uint32_t c) const {
    const auto bytes = static_cast<uint64_t>(missing_bytes(seen_.chunks[c], 0));
    return front_.finish_s(c) >= kFarAway * (arrival_s(bytes) - seen_.now_s);
  }

  // The next request's first byte would come after what is under way.
  bool pipe_runs_dry() const {
    const double under_way = static_cast<double>(seen_.in_flight_bytes + started_bytes_);
    return under_way <= seen_.rate_bytes_per_s * (seen_.ttfb_s + kTick_s);
  }

  // Where the engine may come first, one base after the other: several at once would all be half
  // done when it does.
  bool may_start(uint32_t c) const {
    return seen_.rate_bytes_per_s <= 0 || pipe_runs_dry() || surely_needed(c);
  }

  // From the back. True when none is left to start.
  bool fetch_missing() {
    const uint32_t first = first_that_cannot_wait();
    for (auto c = static_cast<uint32_t>(seen_.chunks.size()); c-- > first;) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.in_hand() || !chunk.network_can()) continue;
      const uint32_t missing = floor_planes(chunk) & ~(chunk.held | chunk.fetching);
      for (uint32_t plane = 0; missing >> plane != 0; ++plane) {
        if ((missing >> plane & 1) == 0) continue;
        if (!room() || !may_start(c)) return false;
        const uint64_t bytes = chunk.ladder[plane].bytes;
        start(c, plane, true,
              fmt::format(
                  "missing, from the back: {} bytes by {:.0f} ms at {}, freeze at {:.0f} ms", bytes,
                  arrival_s(bytes) * 1e3, rate_text(seen_.rate_bytes_per_s), seen_.freeze_s * 1e3));
      }
    }
    return true;
  }

  // Upgrades share the link with no base that is still needed.
  bool pipe_full() const {
    size_t running = choice_.start.size();
    bool bases = std::any_of(choice_.start.begin(), choice_.start.end(),
                             [](const Fetch& fetch) { return fetch.urgent; });
    for (const ChunkState& chunk : seen_.chunks) {
      running += std::popcount(chunk.fetching);
      bases = bases || (chunk.fetching != 0 && !chunk.in_hand());
    }
    if (bases) return !pipe_runs_dry();
    const double bridged = kBridgedWaits * seen_.ttfb_s * seen_.rate_bytes_per_s;
    return running >= kLeastUpgrades &&
           static_cast<double>(seen_.in_flight_bytes + started_bytes_) > bridged;
  }

  bool in_time(uint32_t c, int plane) const {
    const Rung& rung = seen_.chunks[c].ladder[plane];
    return arrival_s(rung.bytes) + rung.decode_s <= seen_.freeze_s;
  }

  // In order of quality per byte, of the chunks that recomputation will not reach.
  void upgrade() {
    std::vector<std::optional<WayUp>> ways(seen_.chunks.size());
    for (uint32_t c = front_.reach(); c < ways.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.recomputed || choice_.recompute == c) continue;
      if (chunk.coming_level() >= chunk.min_level) {
        ways[c] = steepest_way_up(chunk, chunk.coming_level());
      }
    }
    while (room() && !pipe_full()) {
      std::optional<uint32_t> best;
      for (uint32_t c = front_.reach(); c < ways.size(); ++c) {
        if (!ways[c] || !in_time(c, ways[c]->level)) continue;
        if (!best || ways[c]->gain_per_byte > ways[*best]->gain_per_byte) best = c;
      }
      if (!best) return;
      const WayUp way = *ways[*best];
      const Rung& rung = seen_.chunks[*best].ladder[way.level];
      const double arrival = arrival_s(rung.bytes);
      start(
          *best, static_cast<uint32_t>(way.level), false,
          fmt::format("upgrade to quality {:.4f}, {:.3g} token-quality/MB: {} bytes by {:.0f} ms, "
                      "freeze at {:.0f} ms",
                      rung.quality, way.gain_per_byte * 1e6, rung.bytes, arrival * 1e3,
                      seen_.freeze_s * 1e3));
      ways[*best] = steepest_way_up(seen_.chunks[*best], way.level);
    }
  }

  void decide_freeze() {
    if (!everything_in_hand(seen_)) return;
    size_t under_way = choice_.start.size();
    for (const ChunkState& chunk : seen_.chunks) {
      under_way += chunk.recomputed ? 0 : chunk.fetching != 0;
    }
    if (seen_.finish_early) {
      freeze("every chunk has its floor level");
    } else if (seen_.now_s >= seen_.freeze_s) {
      freeze("time for the last decode and the suffix");
    } else if (under_way == 0 && !choice_.recompute) {
      freeze("nothing better can come");
    }
  }

  void freeze(const char* why) {
    choice_.freeze = true;
    choice_.freeze_reason =
        fmt::format("{}: now {:.0f} ms, freeze {:.0f} ms, deadline {:.0f} ms", why,
                    seen_.now_s * 1e3, seen_.freeze_s * 1e3, seen_.deadline_s * 1e3);
  }

  const Observation& seen_;
  const bool text_;
  Front front_;
  Choice choice_;
  uint64_t started_bytes_ = 0;
};

}  // namespace

Choice LayeredController::decide(const Observation& seen) const {
  if (!seen.frozen) return LayeredPlan(seen, text_).make();
  Choice choice;
  decode_what_is_here(seen, choice);
  return choice;
}

}  // namespace kvcast::player
