#include "kernels/entropy/alias_table.h"

#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>
#include <vector>

namespace kvcast::kernels {

bool is_probability_table(std::span<const uint16_t> frequency) {
  return !frequency.empty() && frequency.size() <= kMaxAlphabet &&
         std::accumulate(frequency.begin(), frequency.end(), 0u) == kSlots;
}

AliasBuckets build_alias_buckets(std::span<const uint16_t> frequency) {
  AliasBuckets buckets;
  buckets.count = alias_bucket_count(static_cast<uint32_t>(frequency.size()));
  const uint32_t width = kSlots / buckets.count;
  std::array<uint32_t, kMaxAlphabet> left{};
  std::vector<uint8_t> small, large;
  for (uint32_t i = 0; i < buckets.count; ++i) {
    left[i] = i < frequency.size() ? frequency[i] : 0;
    buckets.divider[i] = static_cast<uint16_t>(width);
    buckets.alias[i] = static_cast<uint8_t>(i);
    (left[i] < width ? small : large).push_back(static_cast<uint8_t>(i));
  }
  while (!small.empty()) {
    const uint8_t s = small.back();
    small.pop_back();
    const uint8_t l = large.back();
    buckets.divider[s] = static_cast<uint16_t>(left[s]);
    buckets.alias[s] = l;
    left[l] -= width - left[s];
    if (left[l] < width) {
      large.pop_back();
      small.push_back(l);
    }
  }
  return buckets;
}

struct AliasTable::Built {
  std::once_flag slots_once, slot_of_once;
  std::vector<Slot> slots;
  std::vector<uint16_t> slot_of;
};

AliasTable::AliasTable(std::span<const uint16_t> frequency)
    : alphabet_(static_cast<uint32_t>(frequency.size())), built_(std::make_shared<Built>()) {
  bits_.fill(std::numeric_limits<float>::infinity());
  uint16_t first = 0;
  for (uint32_t i = 0; i < alphabet_; ++i) {
    frequency_[i] = frequency[i];
    first_[i] = first;
    first = static_cast<uint16_t>(first + frequency[i]);
    if (frequency[i] > 0) {
      bits_[i] = static_cast<float>(kProbabilityBits - std::log2(double{1} * frequency[i]));
    }
  }
}

// visit(slot, symbol, rank), slots ascending.
template <typename Visit>
void AliasTable::for_each_slot(Visit visit) const {
  const AliasBuckets buckets = build_alias_buckets(std::span(frequency_).first(alphabet_));
  const uint32_t width = kSlots / buckets.count;
  std::array<uint32_t, kMaxAlphabet> position{};
  for (uint32_t slot = 0; slot < kSlots; ++slot) {
    const uint32_t bucket = slot / width;
    const uint32_t symbol = slot % width < buckets.divider[bucket] ? bucket : buckets.alias[bucket];
    visit(slot, symbol, position[symbol]++);
  }
}

const Slot* AliasTable::slots() const {
  std::call_once(built_->slots_once, [this] {
    built_->slots.resize(kSlots);
    for_each_slot([this](uint32_t slot, uint32_t symbol, uint32_t rank) {
      built_->slots[slot].bits = symbol | rank << 5 | uint32_t{frequency_[symbol]} << 17;
    });
  });
  return built_->slots.data();
}

const uint16_t* AliasTable::slot_of() const {
  std::call_once(built_->slot_of_once, [this] {
    built_->slot_of.resize(kSlots);
    for_each_slot([this](uint32_t slot, uint32_t symbol, uint32_t rank) {
      built_->slot_of[first_[symbol] + rank] = static_cast<uint16_t>(slot);
    });
  });
  return built_->slot_of.data();
}

}  // namespace kvcast::kernels
