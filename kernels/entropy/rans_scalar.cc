#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <string>
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

Checked<RansDecoder> RansDecoder::open(std::span<const std::byte> stream, uint32_t lanes) {
  const size_t state_bytes = size_t{lanes} * kStateBytes;
  if (stream.size() < state_bytes) {
    return Fault{"stream of " + std::to_string(stream.size()) + " bytes is shorter than its " +
                     std::to_string(lanes) + " states",
                 0};
  }
  if ((stream.size() - state_bytes) % kWordBytes != 0) {
    return Fault{"stream ends in half a word", stream.size()};
  }
  RansDecoder decoder;
  decoder.lanes_ = lanes;
  decoder.words_ = stream.subspan(state_bytes);
  decoder.word_count_ = decoder.words_.size() / kWordBytes;
  std::memcpy(decoder.states_.data(), stream.data(), state_bytes);
  for (uint32_t lane = 0; lane < lanes; ++lane) {
    if (decoder.states_[lane] < kStateLow) {
      return Fault{"initial state of lane " + std::to_string(lane) + " is below 65536",
                   size_t{lane} * kStateBytes};
    }
  }
  return decoder;
}

namespace {

uint32_t load_word(const std::byte* words, size_t index) {
  uint16_t word;
  std::memcpy(&word, words + index * kWordBytes, kWordBytes);
  return word;
}

uint32_t advance(uint32_t x, Slot slot) {
  return slot.frequency() * (x >> kProbabilityBits) + slot.rank();
}

}  // namespace

template <typename SlotsOf>
Check RansDecoder::decode_run(SlotsOf slots_of, uint32_t lanes, std::span<uint8_t> symbols) {
  std::array<uint32_t, kLanes> states = states_;
  const std::byte* const words = words_.data();
  size_t word = word_;
  const auto run_steps = [&](uint32_t step_lanes, size_t i) {
    for (; i < symbols.size() && word_count_ - word >= step_lanes; i += step_lanes) {
      for (uint32_t lane = 0; lane < step_lanes; ++lane) {
        const Slot slot = slots_of(i + lane)[states[lane] % kSlots];
        const uint32_t x = advance(states[lane], slot);
        symbols[i + lane] = slot.symbol();
        const bool refill = x < kStateLow;
        states[lane] = refill ? x << kWordBits | load_word(words, word) : x;
        word += refill;
      }
    }
    return i;
  };
  // Full steps first, with the lane count a constant; near the end of the words every read is
  // checked.
  size_t i = lanes == kLanes ? run_steps(kLanes, 0) : run_steps(lanes, 0);
  for (; i < symbols.size(); ++i) {
    uint32_t& x = states[i % lanes];
    const Slot slot = slots_of(i)[x % kSlots];
    x = advance(x, slot);
    symbols[i] = slot.symbol();
    if (x < kStateLow) {
      if (word == word_count_) return ran_out();
      x = x << kWordBits | load_word(words, word++);
    }
  }
  states_ = states;
  word_ = word;
  return {};
}

Check RansDecoder::decode(const AliasTable& table, uint32_t lanes, std::span<uint8_t> symbols) {
  const Slot* const slots = table.slots();
  return decode_run([=](size_t) { return slots; }, lanes, symbols);
}

Check RansDecoder::decode(std::span<const AliasTable* const> tables,
                          std::span<const uint8_t> contexts, uint32_t lanes,
                          std::span<uint8_t> symbols) {
  std::vector<const Slot*> slots;
  for (const AliasTable* table : tables) slots.push_back(table->slots());
  return decode_run([&](size_t i) { return slots[contexts[i]]; }, lanes, symbols);
}

RansCursor RansDecoder::cursor() const {
  RansCursor cursor;
  std::copy(states_.begin(), states_.end(), cursor.states);
  cursor.next = words_.data() + word_ * kWordBytes;
  cursor.end = words_.data() + words_.size();
  return cursor;
}

Check RansDecoder::resume(const RansCursor& cursor) {
  if (cursor.next > words_.data() + words_.size()) return ran_out();
  std::copy(std::begin(cursor.states), std::end(cursor.states), states_.begin());
  word_ = static_cast<size_t>(cursor.next - words_.data()) / kWordBytes;
  return {};
}

Fault RansDecoder::ran_out() const {
  return {"stream ran out of words", words_.size() + size_t{lanes_} * kStateBytes};
}

Check RansDecoder::finish() const {
  if (word_ != word_count_) {
    return Fault{std::to_string(word_count_ - word_) + " words of the stream are left over",
                 offset()};
  }
  for (uint32_t lane = 0; lane < lanes_; ++lane) {
    if (states_[lane] != kStateLow) {
      return Fault{"final state of lane " + std::to_string(lane) + " is " +
                       std::to_string(states_[lane]) +
                       ", not 65536: the stream is damaged or its tables are another profile's",
                   offset()};
    }
  }
  return {};
}

}  // namespace kvcast::kernels
