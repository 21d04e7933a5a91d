#include "kernels/entropy/encode_table.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace kvcast::kernels {
namespace {

// Slots from `slot` on, in the order of a symbol's ranks.
struct Piece {
  uint32_t position;
  uint32_t slot;
};

float reciprocal(uint32_t frequency) {
  const float nearest = 1.0f / static_cast<float>(frequency);
  return double{nearest} * frequency > 1 ? std::nextafter(nearest, 0.0f) : nearest;
}

// Symbols become indices from `first_index` on, positions start at `first_position`.
void add_table(const AliasTable& table, uint32_t first_index, uint32_t first_position,
               EncodeTable& to, std::vector<Piece>& pieces) {
  const uint16_t* const slots = table.slot_of();
  for (uint32_t symbol = 0; symbol < table.alphabet(); ++symbol) {
    const uint32_t frequency = table.frequency(symbol);
    if (frequency == 0) continue;
    const uint32_t index = first_index + symbol, first = table.first(symbol);
    to.frequency[index] = static_cast<uint16_t>(frequency);
    to.first[index] = static_cast<uint16_t>(first_position + first);
    to.reciprocal[index] = reciprocal(frequency);
    to.symbol[index] = {((uint64_t{1} << 44) + frequency - 1) / frequency, slots + first,
                        frequency};
    for (uint32_t rank = 0; rank < frequency; ++rank) {
      const uint32_t slot = slots[first + rank];
      if (rank > 0 && slot == slots[first + rank - 1] + 1u) continue;
      pieces.push_back({first_position + first + rank, slot});
    }
  }
}

void place(const std::vector<Piece>& pieces, EncodeTable& to) {
  std::fill(std::begin(to.begin), std::end(to.begin), uint16_t{0xFFFF});
  to.pieces = static_cast<uint32_t>(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    to.begin[i] = static_cast<uint16_t>(pieces[i].position);
    to.shift[i] = static_cast<uint16_t>(pieces[i].slot - pieces[i].position);
  }
}

}  // namespace

EncodeTable encode_table(const AliasTable& table) {
  EncodeTable made{};
  std::vector<Piece> pieces;
  add_table(table, 0, 0, made, pieces);
  place(pieces, made);
  return made;
}

EncodeTable encode_table(std::span<const AliasTable* const> contexts) {
  EncodeTable made{};
  std::vector<Piece> pieces;
  for (uint32_t context = 0; context < contexts.size(); ++context)
    add_table(*contexts[context], 4 * context, kSlots * context, made, pieces);
  place(pieces, made);
  return made;
}

}  // namespace kvcast::kernels
