// Which class codes a channel group cheapest, by the exact cost of its symbols over all planes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/plane/tables.h"
#include "kernels/profile.h"
#include "kernels/quantise/quantising_kernels.h"

namespace kvcast::kernels {

// How often each symbol occurs in one channel group.
struct SymbolCounts {
  static constexpr int32_t kNear =
      static_cast<int32_t>(kMaxAlphabet / 2) - 1;  // the largest m of any table

  std::array<uint32_t, 2 * kNear + 1> near{};  // base values -kNear..kNear
  uint32_t far = 0;                            // base values further away: every class escapes
  bool wide = false;                           // some base value needs a 4-byte escape
  std::vector<std::array<std::array<uint32_t, 3>, 3>> passes;  // [pass][context][symbol]
};

// `q`: the group's finest values, of which the base drops `dropped_bits`. parts[0] becomes the
// base's values as bytes (QuantisingKernels), parts[k] the symbol indices of pass k - 1; q.size()
// each.
SymbolCounts count_symbols(std::span<const int32_t> q, uint32_t dropped_bits,
                           const QuantisingKernels& kernels,
                           std::span<const std::span<uint8_t>> parts);

// The base or one pass of a channel group.
struct PartCost {
  double bits = 0;    // escapes included
  bool empty = true;  // every symbol is zero: costs a flag
};

struct ClassChoice {
  uint8_t scale_class = 0;
  uint64_t escapes = 0;
  std::vector<PartCost> parts;  // base, then passes
};

// The lowest class among the cheapest. Nothing where every class lacks a symbol that the group
// needs.
std::optional<ClassChoice> choose_class(std::span<const ClassTables> classes,
                                        const SymbolCounts& counts);

}  // namespace kvcast::kernels
