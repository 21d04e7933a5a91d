#include "kernels/entropy/alias_registers.h"

#include <algorithm>
#include <bit>

#include "kernels/entropy/alias_table.h"

namespace kvcast::kernels {
namespace {

// Fills the buckets of one table from bucket `first` on.
void add_table(std::span<const uint16_t> frequency, uint32_t first, AliasRegisters& registers) {
  const AliasBuckets buckets = build_alias_buckets(frequency);
  const uint32_t width = kSlots / buckets.count;
  std::array<uint32_t, kMaxAlphabet> position{};
  const auto give = [&](uint32_t index, uint32_t symbol, uint32_t begin, uint32_t slots) {
    registers.symbol[index] = static_cast<uint8_t>(symbol);
    registers.frequency[index] = symbol < frequency.size() ? frequency[symbol] : uint16_t{0};
    registers.bias[index] = static_cast<uint16_t>(position[symbol] - begin);
    position[symbol] += slots;
  };
  for (uint32_t b = 0; b < buckets.count; ++b) {
    const uint32_t begin = b * width;
    const uint32_t divider = begin + buckets.divider[b];
    registers.divider[first + b] = static_cast<uint16_t>(divider);
    give(first + b, b, begin, buckets.divider[b]);
    give(first + b + registers.stride, buckets.alias[b], divider, width - buckets.divider[b]);
  }
}

}  // namespace

AliasRegisters alias_registers(std::span<const uint16_t> frequency) {
  AliasRegisters registers{};
  const uint32_t buckets = alias_bucket_count(static_cast<uint32_t>(frequency.size()));
  registers.stride = std::max(16u, buckets);
  registers.shift = kProbabilityBits - static_cast<uint32_t>(std::countr_zero(buckets));
  add_table(frequency, 0, registers);
  return registers;
}

AliasRegisters pass_registers(const std::array<std::span<const uint16_t>, 3>& contexts) {
  AliasRegisters registers{};
  registers.stride = 16;
  registers.shift = kProbabilityBits - 2;
  for (uint32_t context = 0; context < contexts.size(); ++context)
    add_table(contexts[context], 4 * context, registers);
  return registers;
}

}  // namespace kvcast::kernels
