// Which level for each chunk, when so many bytes can be loaded: the multiple-choice knapsack by the
// greedy rule on each chunk's upper convex hull (Sinha and Zoltners, "The multiple-choice knapsack
// problem", 1979). Short of the optimum by at most one step of one chunk.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "player/controller.h"

namespace kvcast::player {

// The steepest way up from `level`: the first rung of it, and gain (in tokens times quality) per
// byte of the whole way. None when nothing is gained.
struct WayUp {
  int level = 0;
  double gain_per_byte = 0;
};
std::optional<WayUp> steepest_way_up(const ChunkState& chunk, int level);

// Planes 0..level together.
uint64_t level_bytes(const ChunkState& chunk, int level);

// A level for each of `chunks` (indices), counting all planes; none if even the lowest levels are
// too many bytes.
std::optional<std::vector<int>> levels_within(const Observation& seen,
                                              std::span<const uint32_t> chunks,
                                              double capacity_bytes);

}  // namespace kvcast::player
