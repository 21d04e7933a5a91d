#include "kernels/entropy/alias_registers.h"

#include <algorithm>
#include <bit>

#include "kernels/entropy/alias_table.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kPassBuckets = 4, kPassStride = 16;
constexpr uint32_t kLeastBaseBuckets = 16, kBaseStride = 32;

// Fills the buckets of one table from bucket `first` on, each cut into `parts`.
void add_table(std::span<const uint16_t> frequency, uint32_t first, uint32_t parts, uint32_t stride,
               AliasRegisters& registers) {
  const AliasBuckets buckets = build_alias_buckets(frequency);
  const uint32_t width = kSlots / buckets.count, part_width = width / parts;
  std::array<uint32_t, kMaxAlphabet> position{};
  for (uint32_t b = 0; b < buckets.count; ++b) {
    const uint32_t begin = b * width, divider = begin + buckets.divider[b];
    const uint32_t alias = buckets.alias[b];
    const auto own_bias = static_cast<uint16_t>(position[b] - begin);
    position[b] += divider - begin;
    const auto alias_bias = static_cast<uint16_t>(position[alias] - divider);
    position[alias] += begin + width - divider;
    for (uint32_t part = 0; part < parts; ++part) {
      const uint32_t at = first + b * parts + part;
      const uint32_t part_begin = begin + part * part_width, end = part_begin + part_width;
      const auto give = [&](uint32_t index, uint32_t symbol, uint16_t bias) {
        registers.symbol[index] = static_cast<uint8_t>(symbol);
        registers.frequency[index] = symbol < frequency.size() ? frequency[symbol] : uint16_t{0};
        registers.bias[index] = bias;
      };
      const bool all_own = divider >= end;
      registers.divider[at] = static_cast<uint16_t>(std::clamp(divider, part_begin, end));
      registers.alias_bucket[at] = static_cast<uint8_t>(all_own ? at : first + alias * parts);
      give(at, b, own_bias);
      give(at + stride, all_own ? b : alias, all_own ? own_bias : alias_bias);
    }
  }
}

}  // namespace

AliasRegisters alias_registers(std::span<const uint16_t> frequency) {
  AliasRegisters registers{};
  const uint32_t count = alias_bucket_count(static_cast<uint32_t>(frequency.size()));
  const uint32_t buckets = std::max(count, kLeastBaseBuckets);
  registers.wide = buckets > kLeastBaseBuckets;
  registers.shift = kProbabilityBits - static_cast<uint32_t>(std::countr_zero(buckets));
  add_table(frequency, 0, buckets / count, kBaseStride, registers);
  return registers;
}

AliasRegisters pass_registers(const std::array<std::span<const uint16_t>, 3>& contexts) {
  AliasRegisters registers{};
  registers.shift = kProbabilityBits - static_cast<uint32_t>(std::countr_zero(kPassBuckets));
  for (uint32_t context = 0; context < contexts.size(); ++context)
    add_table(contexts[context], kPassBuckets * context, 1, kPassStride, registers);
  return registers;
}

}  // namespace kvcast::kernels
