#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "kernels/entropy/encode_table.h"
#include "kernels/entropy/rans.h"

namespace kvcast::kernels {

static_assert(std::endian::native == std::endian::little);

RansEncoder::RansEncoder(uint32_t lanes) : lanes_(lanes) {
  std::fill(std::begin(cursor_.states), std::end(cursor_.states), kStateLow);
  cursor_.next = nullptr;
}

EncodeCursor& RansEncoder::make_room(size_t symbols) {
  // A word below the last: scalar encoders store one before they know whether it is emitted.
  const size_t needed = (symbols + 1) * kWordBytes;
  const size_t used = word_bytes();
  if (capacity_ - used < needed) {
    capacity_ = std::max(2 * capacity_, used + needed);
    auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity_);
    std::byte* const next = larger.get() + capacity_ - used;
    if (used > 0) std::memcpy(next, cursor_.next, used);
    bytes_ = std::move(larger);
    cursor_.next = next;
  }
  return cursor_;
}

void RansEncoder::encode(const EncodeTable& table, uint32_t lanes,
                         std::span<const uint8_t> symbols) {
  const EncodeJob job{&table, &make_room(symbols.size()), symbols.data()};
  scalar::encode_symbols(&job, 1, static_cast<uint32_t>(symbols.size() / lanes), lanes);
}

void RansEncoder::encode(const AliasTable& table, uint32_t lanes,
                         std::span<const uint8_t> symbols) {
  encode(encode_table(table), lanes, symbols);
}

void RansEncoder::encode(std::span<const AliasTable* const> tables,
                         std::span<const uint8_t> contexts, uint32_t lanes,
                         std::span<const uint8_t> symbols) {
  std::vector<uint8_t> indices(symbols.size());
  for (size_t i = 0; i < symbols.size(); ++i)
    indices[i] = static_cast<uint8_t>(4 * contexts[i] + symbols[i]);
  encode(encode_table(tables), lanes, indices);
}

std::vector<std::byte> RansEncoder::finish() const {
  const size_t state_bytes = size_t{lanes_} * kStateBytes;
  std::vector<std::byte> stream(state_bytes + word_bytes());
  std::memcpy(stream.data(), cursor_.states, state_bytes);
  if (word_bytes() > 0) std::memcpy(stream.data() + state_bytes, cursor_.next, word_bytes());
  return stream;
}

}  // namespace kvcast::kernels
