#include "player/controller/cachegen_artifact.h"

#include <fmt/format.h>

#include "player/controller/knapsack.h"
#include "player/controller/whole_chunk.h"

namespace kvcast::player {
namespace {

// The highest level within the share, or -1.
int level_within_share(const Observation& seen, const ChunkState& chunk) {
  const double share_s = seen.deadline_s / static_cast<double>(seen.chunks.size());
  for (int level = chunk.max_level; level >= chunk.min_level; --level) {
    const auto bytes = static_cast<double>(level_bytes(chunk, level));
    if (bytes < share_s * seen.rate_bytes_per_s) return level;
  }
  return -1;
}

}  // namespace

Choice CacheGenArtifactController::decide(const Observation& seen) const {
  Choice choice;
  const std::vector<uint32_t> rest = undecided_chunks(seen);
  if (seen.recomputing) {
    choice.recompute = seen.recomputing;
    choice.recompute_reason = "under way";
  } else if (!seen.frozen && !rest.empty() && pipe_has_room(seen)) {
    const uint32_t next = rest.front();
    const ChunkState& chunk = seen.chunks[next];
    const int level =
        seen.rate_bytes_per_s > 0 ? level_within_share(seen, chunk) : middle_level(chunk);
    if (level < 0 && seen.recompute_available) {
      choice.recompute = next;
      choice.recompute_reason = "no level comes within its share of the SLO";
    } else {
      fetch_level(seen, next, level, false, "within its share of the SLO", choice);
    }
  }
  finish_whole_chunks(seen, choice);
  return choice;
}

}  // namespace kvcast::player
