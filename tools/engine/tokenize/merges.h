// Merging a piece's bytes into tokens: of all neighbouring pairs with a merge, the one of lowest
// rank (the leftmost of equals) is merged, until none is left. n log n in the piece's bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace kvcast::engine {

struct Merge {
  uint32_t rank = 0;
  uint32_t token = 0;  // what the pair becomes
};

struct MergeTable {
  std::array<uint32_t, 256> byte_token{};
  std::unordered_map<uint64_t, Merge> merges;  // by pair_key(left, right)

  static uint64_t pair_key(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }
};

// Appends the tokens of `piece` to `tokens`.
void merge_piece(const MergeTable& table, std::string_view piece, std::vector<uint32_t>& tokens);

}  // namespace kvcast::engine
