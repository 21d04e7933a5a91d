// Probability tables as coders use them. A table's 4096 slots are dealt to symbols by the alias
// method (Walker 1977, construction order of Vose 1991 fixed by kernels/plane_format.md, section
// 4).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/entropy/rans_format.h"
#include "kernels/profile.h"

namespace kvcast::kernels {

// 1 to kMaxAlphabet frequencies that sum to 4096.
bool is_probability_table(std::span<const uint16_t> frequency);

// Bucket b has 4096 / count slots: the first divider[b] belong to symbol b, the others to symbol
// alias[b].
struct AliasBuckets {
  uint32_t count = 0;
  std::array<uint16_t, kMaxAlphabet> divider{};
  std::array<uint8_t, kMaxAlphabet> alias{};
};

// `frequency` must satisfy is_probability_table, here and below.
AliasBuckets build_alias_buckets(std::span<const uint16_t> frequency);

// What a slot decodes to, in one word: bits 0-4 symbol, 5-16 rank, 17-29 frequency. A table whose
// only symbol has frequency 4096 needs no special case: rank = slot, so that coding leaves the
// state alone.
struct Slot {
  uint32_t bits = 0;
  uint8_t symbol() const { return static_cast<uint8_t>(bits & 31); }
  uint32_t rank() const { return bits >> 5 & (kSlots - 1); }
  uint32_t frequency() const { return bits >> 17; }
};
static_assert(kMaxAlphabet <= 32 && kSlots <= 4096 && kSlots == kProbabilityScale);

// Immutable; copies share their slots, which are built at the first call that needs them (8 and 16
// KiB; thread-safe), so that a decoder that keeps its tables in registers never pays for these.
class AliasTable {
 public:
  explicit AliasTable(std::span<const uint16_t> frequency);

  uint32_t alphabet() const { return alphabet_; }
  uint32_t frequency(uint32_t symbol) const { return frequency_[symbol]; }
  uint32_t first(uint32_t symbol) const { return first_[symbol]; }  // frequencies before it, summed

  // For loops: ask once, index often. slots()[slot]; slot_of()[first(symbol) + rank].
  const Slot* slots() const;
  const uint16_t* slot_of() const;

  // What coding the symbol costs, in bits; infinite where its frequency is 0 or it is outside the
  // alphabet.
  float bits(uint32_t symbol) const { return bits_[symbol]; }

 private:
  struct Built;
  template <typename Visit>
  void for_each_slot(Visit visit) const;

  uint32_t alphabet_;
  std::array<uint16_t, kMaxAlphabet> frequency_{}, first_{};
  std::array<float, kMaxAlphabet> bits_{};
  std::shared_ptr<Built> built_;
};

}  // namespace kvcast::kernels
