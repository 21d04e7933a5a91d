#include <bit>
#include <cstring>
#include <vector>

#include "kernels/entropy/rans.h"

namespace kvcast::kernels {

static_assert(std::endian::native == std::endian::little);

RansEncoder::RansEncoder(uint32_t lanes) : lanes_(lanes) {
  states_.fill(kStateLow);
}

namespace {

struct EncodingTable {
  const AliasTable* table;
  const uint16_t* slot_of;
};

}  // namespace

template <typename TableOf>
void RansEncoder::encode_run(TableOf table_of, uint32_t lanes, std::span<const uint8_t> symbols) {
  // Room for a word a symbol: whether one is emitted is random, and a jump would be mispredicted.
  size_t emitted = words_.size();
  words_.resize(emitted + symbols.size());
  uint16_t* const words = words_.data();
  std::array<uint32_t, kLanes> states = states_;
  for (size_t i = symbols.size(); i > 0;) {
    for (uint32_t lane = lanes; lane > 0;) {
      --i;
      --lane;
      const EncodingTable& coding = table_of(i);
      const uint32_t frequency = coding.table->frequency(symbols[i]);
      const uint32_t x = states[lane];
      const bool emit = x >> 20 >= frequency;
      words[emitted] = static_cast<uint16_t>(x);
      emitted += emit;
      const uint32_t rest = emit ? x >> kWordBits : x;
      states[lane] = (rest / frequency << kProbabilityBits) +
                     coding.slot_of[coding.table->first(symbols[i]) + rest % frequency];
    }
  }
  states_ = states;
  words_.resize(emitted);
}

void RansEncoder::encode(const AliasTable& table, uint32_t lanes,
                         std::span<const uint8_t> symbols) {
  const EncodingTable coding{&table, table.slot_of()};
  encode_run([&](size_t) -> const EncodingTable& { return coding; }, lanes, symbols);
}

void RansEncoder::encode(std::span<const AliasTable* const> tables,
                         std::span<const uint8_t> contexts, uint32_t lanes,
                         std::span<const uint8_t> symbols) {
  std::vector<EncodingTable> coding;
  for (const AliasTable* table : tables) coding.push_back({table, table->slot_of()});
  encode_run([&](size_t i) -> const EncodingTable& { return coding[contexts[i]]; }, lanes, symbols);
}

std::vector<std::byte> RansEncoder::finish() const {
  std::vector<std::byte> stream(size_t{lanes_} * kStateBytes + words_.size() * kWordBytes);
  std::memcpy(stream.data(), states_.data(), size_t{lanes_} * kStateBytes);
  const std::vector<uint16_t> in_reading_order(words_.rbegin(), words_.rend());
  if (!in_reading_order.empty()) {
    std::memcpy(stream.data() + size_t{lanes_} * kStateBytes, in_reading_order.data(),
                in_reading_order.size() * kWordBytes);
  }
  return stream;
}

}  // namespace kvcast::kernels
