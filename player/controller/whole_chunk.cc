#include "player/controller/whole_chunk.h"

#include <fmt/format.h>

#include <algorithm>

#include "player/controller/knapsack.h"
#include "player/controller/plan.h"
#include "player/throughput.h"

namespace kvcast::player {

bool undecided(const Observation& seen, uint32_t c) {
  const ChunkState& chunk = seen.chunks[c];
  return !chunk.recomputed && seen.recomputing != c && (chunk.held | chunk.fetching) == 0 &&
         chunk.network_can();
}

std::vector<uint32_t> undecided_chunks(const Observation& seen) {
  std::vector<uint32_t> chunks;
  for (uint32_t c = 0; c < seen.chunks.size(); ++c) {
    if (undecided(seen, c)) chunks.push_back(c);
  }
  return chunks;
}

bool pipe_has_room(const Observation& seen) {
  if (seen.free_transfers == 0) return false;
  return static_cast<double>(seen.in_flight_bytes) <= seen.rate_bytes_per_s * seen.ttfb_s;
}

void fetch_level(const Observation& seen, uint32_t c, int level, bool again, std::string_view why,
                 Choice& choice) {
  const ChunkState& chunk = seen.chunks[c];
  level = std::clamp(level, chunk.min_level, chunk.max_level);
  for (int n = 0; n <= level; ++n) {
    if (!again && ((chunk.held | chunk.fetching) >> n & 1) != 0) continue;
    choice.start.push_back(
        {c, static_cast<uint32_t>(n), n <= chunk.min_level,
         fmt::format("level {}: {}, {}", level, why, rate_text(seen.rate_bytes_per_s))});
  }
}

int common_level(const Observation& seen, const std::vector<uint32_t>& chunks,
                 double capacity_bytes) {
  int highest = -1;
  for (const uint32_t c : chunks) highest = std::max(highest, seen.chunks[c].max_level);
  for (int level = highest; level >= 0; --level) {
    double bytes = 0;
    for (const uint32_t c : chunks) {
      const ChunkState& chunk = seen.chunks[c];
      bytes += static_cast<double>(
          level_bytes(chunk, std::clamp(level, chunk.min_level, chunk.max_level)));
    }
    if (bytes <= capacity_bytes) return level;
  }
  return -1;
}

double capacity_bytes(const Observation& seen, double rate_bytes_per_s) {
  return (seen.freeze_s - seen.now_s) * rate_bytes_per_s -
         static_cast<double>(seen.in_flight_bytes);
}

int middle_level(const ChunkState& chunk) {
  return (chunk.min_level + chunk.max_level + 1) / 2;
}

void abandon(const Observation& seen, const std::vector<uint32_t>& rest, double rate_bytes_per_s,
             Choice& choice) {
  double base_bytes = 0;
  for (const uint32_t c : rest) {
    base_bytes += static_cast<double>(level_bytes(seen.chunks[c], seen.chunks[c].min_level));
  }
  if (rate_bytes_per_s <= 0 || base_bytes <= capacity_bytes(seen, rate_bytes_per_s)) return;
  for (uint32_t c = 0; c < seen.chunks.size(); ++c) {
    const ChunkState& chunk = seen.chunks[c];
    for (int n = chunk.min_level + 1; chunk.fetching >> n != 0; ++n) {
      if ((chunk.fetching >> n & 1) == 0) continue;
      choice.cancel.push_back({c, static_cast<uint32_t>(n), "the rest would not come in time"});
    }
  }
}

void finish_whole_chunks(const Observation& seen, Choice& choice) {
  decode_what_is_here(seen, choice);
  if (seen.frozen) return;
  if (!choice.recompute) {
    choice.recompute = recomputable_hole(seen);
    if (choice.recompute) choice.recompute_reason = "the network cannot bring it";
  }
  const bool under_way = std::any_of(seen.chunks.begin(), seen.chunks.end(), [](const auto& chunk) {
    return !chunk.recomputed && chunk.fetching != 0;
  });
  choice.freeze = everything_in_hand(seen) && !under_way && choice.start.empty();
  if (choice.freeze) choice.freeze_reason = "every chunk is there";
}

}  // namespace kvcast::player
