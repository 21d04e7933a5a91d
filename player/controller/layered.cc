#include "player/controller/layered.h"

#include <fmt/format.h>

#include <algorithm>

#include "player/controller/front.h"
#include "player/controller/plan.h"

namespace kvcast::player {
namespace {

// A base under way is dropped when recomputation ends in this share of the time that all transfers
// under way still take: they share the link.
constexpr double kOvertaken = 0.7;

// A base may wait for recomputation that would be in time even if it took this much longer, as long
// as the link could bring all that wait in this share of the time left: then either may fail. Bytes
// that would be recomputed over go to upgrades instead.
constexpr double kWaitSlack = 2.0;
constexpr double kInsuredShare = 0.5;

// Upgrades make room when missing bases need more than this share of the time left.
constexpr double kHurryShare = 0.5;

class LayeredPlan {
 public:
  explicit LayeredPlan(const Observation& seen) : seen_(seen), front_(seen) {}

  Choice make() {
    front_.choose(choice_);
    const bool in_hurry = hurry();
    cancel_overtaken(in_hurry);
    const bool bases_started = fetch_missing();
    const bool time_left = seen_.now_s < seen_.freeze_s && !in_hurry && !seen_.finish_early;
    if (bases_started && time_left) upgrade();
    decode_what_is_here(seen_, choice_);
    decide_freeze();
    return std::move(choice_);
  }

 private:
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

  void cancel_planes(uint32_t c, uint32_t planes, const char* reason) {
    for (uint32_t plane = 0; planes >> plane != 0; ++plane) {
      if ((planes >> plane & 1) != 0) choice_.cancel.push_back({c, plane, reason});
    }
  }

  static uint32_t floor_planes(const ChunkState& chunk) { return (2u << chunk.min_level) - 1; }

  // Of the planes that a chunk cannot do without, and that are neither here nor under way.
  static uint64_t missing_bytes(const ChunkState& chunk) {
    uint64_t bytes = 0;
    for (int n = 0; n <= chunk.min_level && chunk.network_can(); ++n) {
      if (((chunk.held | chunk.fetching) >> n & 1) == 0) bytes += chunk.ladder[n].bytes;
    }
    return bytes;
  }

  // Recomputation will be there, and with time to spare.
  bool engine_in_time(uint32_t c) const {
    return kWaitSlack * front_.finish_s(c) <= seen_.freeze_s - seen_.now_s;
  }

  // Chunks before it leave their bases to recomputation for now.
  uint32_t first_that_cannot_wait() const {
    const double left_s = seen_.freeze_s - seen_.now_s;
    double bytes = static_cast<double>(seen_.in_flight_bytes);
    uint32_t c = 0;
    for (; c < seen_.chunks.size(); ++c) {
      if (seen_.chunks[c].recomputed) continue;
      bytes += static_cast<double>(missing_bytes(seen_.chunks[c]));
      if (!engine_in_time(c)) break;
      if (bytes > kInsuredShare * left_s * seen_.rate_bytes_per_s) break;
    }
    return c;
  }

  // Whether bases that are missing, and that recomputation will not reach, leave the link no time
  // for anything else.
  bool hurry() const {
    uint64_t bytes = 0;
    for (uint32_t c = front_.reach(); c < seen_.chunks.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.in_hand() || !chunk.network_can()) continue;
      for (int n = 0; n <= chunk.min_level; ++n) {
        if ((chunk.held >> n & 1) == 0) bytes += chunk.ladder[n].bytes;
      }
    }
    const double left_s = seen_.freeze_s - seen_.now_s;
    return bytes > 0 && static_cast<double>(bytes) > kHurryShare * left_s * seen_.rate_bytes_per_s;
  }

  void cancel_overtaken(bool in_hurry) {
    const double rate = seen_.rate_bytes_per_s;
    const double all_here_s = rate > 0 ? static_cast<double>(seen_.in_flight_bytes) / rate : 0;
    for (uint32_t c = 0; c < seen_.chunks.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.recomputed) {
        cancel_planes(c, chunk.fetching, "recomputed meanwhile");
      } else if (!chunk.in_hand() && engine_in_time(c) &&
                 front_.finish_s(c) < kOvertaken * all_here_s) {
        cancel_planes(c, chunk.fetching, "recomputation is sooner");
      } else if (in_hurry) {
        cancel_planes(c, chunk.fetching & ~floor_planes(chunk), "makes room for missing bases");
      }
    }
  }

  // From the back to where recomputation will be sooner. True when none is left to start.
  bool fetch_missing() {
    const uint32_t first = first_that_cannot_wait();
    for (auto c = static_cast<uint32_t>(seen_.chunks.size()); c-- > first;) {
      const ChunkState& chunk = seen_.chunks[c];
      if (chunk.in_hand() || !chunk.network_can()) continue;
      const uint32_t missing = floor_planes(chunk) & ~(chunk.held | chunk.fetching);
      for (uint32_t plane = 0; missing >> plane != 0; ++plane) {
        if ((missing >> plane & 1) == 0) continue;
        const double arrival = arrival_s(chunk.ladder[plane].bytes);
        const bool known = seen_.rate_bytes_per_s > 0;
        const bool engine_sooner = front_.finish_s(c) < arrival - seen_.now_s;
        const bool hedge = arrival <= seen_.freeze_s && !engine_in_time(c);
        if (known ? engine_sooner && !hedge : choice_.recompute == c) continue;
        if (!room()) return false;
        start(c, plane, true,
              fmt::format("missing, from the back: {} bytes by {:.0f} ms at {:.3g} MB/s, freeze "
                          "at {:.0f} ms",
                          chunk.ladder[plane].bytes, arrival * 1e3, seen_.rate_bytes_per_s / 1e6,
                          seen_.freeze_s * 1e3));
      }
    }
    return true;
  }

  struct Upgrade {
    uint32_t chunk = 0, plane = 0;
    double quality_per_byte = 0;
  };

  // The steepest way up from what is coming: its first plane, at the slope of the whole way.
  std::optional<Upgrade> steepest(uint32_t c, int coming) const {
    const ChunkState& chunk = seen_.chunks[c];
    std::optional<Upgrade> best;
    const double from = chunk.ladder[coming].quality;
    uint64_t bytes = 0;
    for (int n = coming + 1; n <= chunk.max_level; ++n) {
      bytes += chunk.ladder[n].bytes;
      const double gain = (chunk.ladder[n].quality - from) * static_cast<double>(chunk.tokens);
      const double slope = gain / static_cast<double>(std::max<uint64_t>(bytes, 1));
      if (slope > (best ? best->quality_per_byte : 0)) {
        best = Upgrade{c, static_cast<uint32_t>(coming + 1), slope};
      }
    }
    return best;
  }

  bool in_time(const Upgrade& way) const {
    const Rung& rung = seen_.chunks[way.chunk].ladder[way.plane];
    return arrival_s(rung.bytes) + rung.decode_s <= seen_.freeze_s;
  }

  void upgrade() {
    std::vector<int> coming(seen_.chunks.size(), -1);
    for (uint32_t c = front_.reach(); c < coming.size(); ++c) {
      const ChunkState& chunk = seen_.chunks[c];
      const int level = chunk.coming_level();
      if (!chunk.recomputed && choice_.recompute != c && level >= chunk.min_level) {
        coming[c] = level;
      }
    }
    while (room()) {
      std::optional<Upgrade> best;
      for (uint32_t c = 0; c < coming.size(); ++c) {
        if (coming[c] < 0) continue;
        const std::optional<Upgrade> way = steepest(c, coming[c]);
        if (way && (!best || way->quality_per_byte > best->quality_per_byte) && in_time(*way)) {
          best = way;
        }
      }
      if (!best) return;
      const Rung& rung = seen_.chunks[best->chunk].ladder[best->plane];
      const double arrival = arrival_s(rung.bytes);
      start(
          best->chunk, best->plane, false,
          fmt::format("upgrade to quality {:.4f}, {:.3g} token-quality/MB: {} bytes by {:.0f} ms, "
                      "freeze at {:.0f} ms",
                      rung.quality, best->quality_per_byte * 1e6, rung.bytes, arrival * 1e3,
                      seen_.freeze_s * 1e3));
      coming[best->chunk] = static_cast<int>(best->plane);
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
  Front front_;
  Choice choice_;
  uint64_t started_bytes_ = 0;
};

}  // namespace

Choice LayeredController::decide(const Observation& seen) const {
  if (!seen.frozen) return LayeredPlan(seen).make();
  Choice choice;
  decode_what_is_here(seen, choice);
  return choice;
}

}  // namespace kvcast::player
