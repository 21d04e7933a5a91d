#include "player/controller/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace kvcast::player {
namespace {

constexpr double kStartSlack = 1.02;  // a start must fit better than a continuation: no flapping
constexpr double kNetworkSlack =
    1.25;                             // the network must beat the freeze by, for the engine to rest
constexpr double kLeastShare = 0.05;  // an overdue recompute is taken to need this share still

}  // namespace

Front::Front(const Observation& seen) : seen_(seen) {
  const auto count = static_cast<uint32_t>(seen.chunks.size());
  while (front_ < count && seen.chunks[front_].recomputed) ++front_;
  while (missing_ < count && seen.chunks[missing_].in_hand()) ++missing_;
  reach_ = front_;
  finish_s_.assign(count, std::numeric_limits<double>::infinity());
}

double Front::remaining_s(uint32_t chunk) const {
  const double all = seen_.chunks[chunk].recompute_s;
  if (seen_.recomputing != chunk) return all;
  return std::max(all - seen_.recompute_elapsed_s, kLeastShare * all);
}

double Front::missing_arrival_s() const {
  uint64_t bytes = 0;
  for (const ChunkState& chunk : seen_.chunks) {
    if (chunk.in_hand()) continue;
    for (int n = 0; n <= chunk.min_level; ++n) {
      if ((chunk.held >> n & 1) == 0) bytes += chunk.ladder[n].bytes;
    }
  }
  return seen_.now_s + seen_.ttfb_s + static_cast<double>(bytes) / seen_.rate_bytes_per_s;
}

bool Front::network_is_enough() const {
  for (const ChunkState& chunk : seen_.chunks) {
    if (!chunk.in_hand() && !chunk.network_can()) return false;
  }
  if (seen_.rate_bytes_per_s <= 0) return missing_ == seen_.chunks.size();
  const double left = seen_.freeze_s - seen_.now_s;
  return kNetworkSlack * (missing_arrival_s() - seen_.now_s) <= left ||
         missing_ == seen_.chunks.size();
}

// Quality gained by recomputing the chunk instead of leaving it where its planes will be, plus what
// its base's bytes would do elsewhere, against the price. Meeting the deadline has no price.
bool Front::worth(uint32_t c) const {
  if (seen_.gpu_seconds_price <= 0 || !network_is_enough()) return true;
  uint64_t tokens = 0;
  for (const ChunkState& chunk : seen_.chunks) tokens += chunk.tokens;
  const ChunkState& chunk = seen_.chunks[c];
  const int level = std::max(chunk.coming_level(), chunk.min_level);
  const double share = static_cast<double>(chunk.tokens) / static_cast<double>(tokens);
  return share * (1 - chunk.ladder[level].quality) > seen_.gpu_seconds_price * remaining_s(c);
}

bool Front::should_jump(uint32_t hole) const {
  for (uint32_t c = 0; c < hole; ++c) {
    if (!seen_.chunks[c].in_sink()) return false;
  }
  if (seen_.recomputing == hole) return true;
  double finish_s = seen_.now_s;
  for (uint32_t c = front_; c <= hole; ++c) finish_s += seen_.engine_slack * remaining_s(c);
  if (finish_s <= seen_.freeze_s) return false;
  if (!seen_.chunks[hole].network_can()) return true;
  return seen_.rate_bytes_per_s > 0 && missing_arrival_s() > seen_.now_s + remaining_s(hole);
}

void Front::choose(Choice& choice) {
  const auto count = static_cast<uint32_t>(seen_.chunks.size());
  if (!seen_.recompute_available || front_ == count) return;
  if (missing_ < count && missing_ > front_ && should_jump(missing_)) {
    choice.recompute = missing_;
    finish_s_[missing_] = remaining_s(missing_);
    choice.recompute_reason = fmt::format(
        "missing, and the front would come too late: {:.1f} ms of engine time, freeze "
        "in {:.1f} ms",
        remaining_s(missing_) * 1e3, (seen_.freeze_s - seen_.now_s) * 1e3);
    return;
  }
  const double slack = seen_.recomputing == front_ ? 1.0 : kStartSlack;
  const bool in_time = seen_.now_s + slack * remaining_s(front_) <= seen_.freeze_s;
  const bool missing = !seen_.chunks[front_].in_hand();
  if (seen_.finish_early && !missing && missing_ == count) return;
  if ((!missing && !in_time) || !worth(front_)) return;
  choice.recompute = front_;
  choice.recompute_reason = fmt::format(
      "{}: {:.1f} ms of engine time, freeze in {:.1f} ms", missing ? "front" : "upgrades the front",
      remaining_s(front_) * 1e3, (seen_.freeze_s - seen_.now_s) * 1e3);
  double ahead_s = 0;
  const double left_s = seen_.freeze_s - seen_.now_s;
  for (uint32_t c = front_; c < count && worth(c); ++c) {
    ahead_s += remaining_s(c);
    finish_s_[c] = ahead_s;
    if (reach_ == c && seen_.engine_slack * ahead_s <= left_s) ++reach_;
  }
}

}  // namespace kvcast::player
