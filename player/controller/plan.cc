#include "player/controller/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace kvcast::player {
namespace {

constexpr double kPendingShare = 0.25;

int usable_level(const ChunkState& chunk) {
  return std::min(chunk.held_level(), chunk.max_level);
}

bool upgrade_waits(const ChunkState& chunk) {
  return !chunk.recomputed && chunk.decoding_level < 0 && chunk.decoded_level >= 0 &&
         usable_level(chunk) > chunk.decoded_level;
}

double pending_upgrades_s(const Observation& seen) {
  double seconds = 0;
  for (const ChunkState& chunk : seen.chunks) {
    if (upgrade_waits(chunk)) seconds += chunk.ladder[usable_level(chunk)].decode_s;
  }
  return seconds;
}

}  // namespace

int ChunkState::held_level() const {
  return std::countr_one(held) - 1;
}

int ChunkState::coming_level() const {
  return std::countr_one(held | fetching) - 1;
}

bool everything_in_hand(const Observation& seen) {
  return std::all_of(seen.chunks.begin(), seen.chunks.end(),
                     [](const ChunkState& chunk) { return chunk.in_hand(); });
}

std::optional<uint32_t> recomputable_hole(const Observation& seen) {
  if (!seen.recompute_available) return std::nullopt;
  for (uint32_t c = 0; c < seen.chunks.size(); ++c) {
    const ChunkState& chunk = seen.chunks[c];
    if (chunk.in_sink()) continue;
    if (chunk.in_hand() || chunk.network_can()) return std::nullopt;
    return c;
  }
  return std::nullopt;
}

void cancel_planes(uint32_t chunk, uint32_t planes, const char* reason, Choice& choice) {
  for (uint32_t plane = 0; planes >> plane != 0; ++plane) {
    if ((planes >> plane & 1) != 0) choice.cancel.push_back({chunk, plane, reason});
  }
}

void cancel_recomputed(const Observation& seen, Choice& choice) {
  for (uint32_t c = 0; c < seen.chunks.size(); ++c) {
    if (!seen.chunks[c].recomputed) continue;
    cancel_planes(c, seen.chunks[c].fetching, "recomputed meanwhile", choice);
  }
}

void decode_what_is_here(const Observation& seen, Choice& choice) {
  const bool drain =
      !seen.frozen &&
      pending_upgrades_s(seen) > kPendingShare * std::max(0.0, seen.deadline_s - seen.now_s);
  size_t room = seen.frozen ? seen.chunks.size() : seen.free_decodes;
  const auto add = [&](uint32_t c, std::string_view why) {
    const auto level = static_cast<uint32_t>(usable_level(seen.chunks[c]));
    choice.decode.push_back({c, level,
                             fmt::format("{}: level {} takes {:.1f} ms", why, level,
                                         seen.chunks[c].ladder[level].decode_s * 1e3)});
    --room;
  };
  for (uint32_t c = 0; c < seen.chunks.size() && room > 0; ++c) {
    const ChunkState& chunk = seen.chunks[c];
    const bool waits = !chunk.recomputed && chunk.decoding_level < 0 && chunk.decoded_level < 0;
    if (waits && usable_level(chunk) >= chunk.min_level) add(c, "first decode");
  }
  for (uint32_t c = 0; c < seen.chunks.size() && room > 0; ++c) {
    const ChunkState& chunk = seen.chunks[c];
    if (!upgrade_waits(chunk)) continue;
    if (seen.frozen) {
      add(c, "frozen, last decode");
    } else if (chunk.fetching == 0 && usable_level(chunk) == chunk.max_level) {
      add(c, "all planes are here");
    } else if (drain && chunk.fetching == 0) {
      add(c, "too much waits for the end");
    }
  }
}

}  // namespace kvcast::player
