#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/entropy/rans.h"

namespace kvcast::kernels {

static_assert(std::endian::native == std::endian::little);

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
#pragma GCC unroll 8
      for (uint32_t lane = 0; lane < step_lanes; ++lane) {
        const Slot slot = slots_of(i + lane)[states[lane] % kSlots];
        const uint32_t x = advance(states[lane], slot);
        symbols[i + lane] = slot.symbol();
        // Written without a jump, which would be mispredicted.
        const uint32_t refilled = x << kWordBits | load_word(words, word);
        const uint32_t refill = 0u - (x < kStateLow ? 1u : 0u);
        states[lane] = x ^ ((x ^ refilled) & refill);
        word += refill & 1;
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
