#include "player/controller/knapsack.h"

#include <algorithm>

namespace kvcast::player {

std::optional<WayUp> steepest_way_up(const ChunkState& chunk, int level) {
  std::optional<WayUp> best;
  const double from = level < 0 ? 0 : chunk.ladder[level].quality;
  uint64_t bytes = 0;
  for (int n = level + 1; n <= chunk.max_level; ++n) {
    bytes += chunk.ladder[n].bytes;
    const double gain = (chunk.ladder[n].quality - from) * static_cast<double>(chunk.tokens);
    const double slope = gain / static_cast<double>(std::max<uint64_t>(bytes, 1));
    if (slope > (best ? best->gain_per_byte : 0)) best = WayUp{level + 1, slope};
  }
  return best;
}

uint64_t level_bytes(const ChunkState& chunk, int level) {
  uint64_t bytes = 0;
  for (int n = 0; n <= level; ++n) bytes += chunk.ladder[n].bytes;
  return bytes;
}

std::optional<std::vector<int>> levels_within(const Observation& seen,
                                              std::span<const uint32_t> chunks,
                                              double capacity_bytes) {
  std::vector<int> levels;
  std::vector<std::optional<WayUp>> ways;
  for (const uint32_t c : chunks) {
    const ChunkState& chunk = seen.chunks[c];
    levels.push_back(chunk.min_level);
    ways.push_back(steepest_way_up(chunk, chunk.min_level));
    capacity_bytes -= static_cast<double>(level_bytes(chunk, chunk.min_level));
  }
  if (capacity_bytes < 0) return std::nullopt;
  while (true) {
    size_t best = chunks.size();
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (!ways[i]) continue;
      if (best == chunks.size() || ways[i]->gain_per_byte > ways[best]->gain_per_byte) best = i;
    }
    if (best == chunks.size()) return levels;
    const ChunkState& chunk = seen.chunks[chunks[best]];
    const auto bytes = static_cast<double>(chunk.ladder[ways[best]->level].bytes);
    if (bytes > capacity_bytes) {
      ways[best].reset();
      continue;
    }
    capacity_bytes -= bytes;
    levels[best] = ways[best]->level;
    ways[best] = steepest_way_up(chunk, levels[best]);
  }
}

}  // namespace kvcast::player
