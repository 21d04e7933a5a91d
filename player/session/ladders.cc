#include "player/session/ladders.h"

#include <algorithm>

namespace kvcast::player {

std::vector<ChunkState> make_ladders(const Presentation& presentation, const PlayParams& params) {
  const manifests::Manifest& manifest = presentation.manifest;
  std::vector<ChunkState> ladders;
  for (uint32_t c = 0; c < presentation.chunks; ++c) {
    const manifests::ChunkEntry& entry = manifest.chunks[c];
    ChunkState& chunk = ladders.emplace_back();
    chunk.tokens = entry.token_end - entry.token_begin;
    if (params.exact) {
      chunk.ladder.push_back({entry.exact->bytes, 1.0, 0});
      continue;
    }
    for (const manifests::PlaneRef& plane : entry.planes) {
      chunk.ladder.push_back({plane.bytes, plane.agreement.value_or(1 - plane.distortion), 0});
    }
    chunk.max_level = static_cast<int>(chunk.ladder.size()) - 1;
    if (params.max_level) {
      chunk.max_level = std::min(chunk.max_level, static_cast<int>(*params.max_level));
    }
    uint32_t floor = params.min_level;
    const bool last = c + 1 == manifest.chunks.size();
    if (last && manifest.floor_level) floor = std::max(floor, *manifest.floor_level);
    chunk.min_level = static_cast<int>(floor);
    chunk.max_level = std::max(chunk.max_level, chunk.min_level);
  }
  return ladders;
}

const manifests::ObjectRef& object_of(const Presentation& presentation, uint32_t chunk,
                                      uint32_t plane, bool exact) {
  const manifests::ChunkEntry& entry = presentation.manifest.chunks[chunk];
  return exact ? *entry.exact : entry.planes[plane];
}

}  // namespace kvcast::player
