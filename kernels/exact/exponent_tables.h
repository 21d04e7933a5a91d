// Which probability table codes the exponents of which channel group. Stateless; deterministic.
// Groups are clustered by the cost of their histograms (Lloyd 1982, with code length as distance).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace kvcast::kernels {

inline constexpr uint32_t kMaxExponentTables = 8;
inline constexpr uint32_t kExponents = 256;

using ExponentHistogram = std::array<uint32_t, kExponents>;

// Symbol s < alphabet - 1 is exponent first_exponent + s; the last symbol escapes.
struct ExponentTable {
  uint8_t first_exponent = 0;
  std::vector<uint16_t> frequency;

  uint32_t escape() const { return static_cast<uint32_t>(frequency.size()) - 1; }
  uint32_t symbol(uint8_t exponent) const {
    const uint32_t index = static_cast<uint32_t>(exponent) - first_exponent;
    return index < escape() ? index : escape();
  }
};

struct ExponentTables {
  std::vector<ExponentTable> tables;  // 1 to kMaxExponentTables
  std::vector<uint8_t> table_of;      // [groups]
};

// Every exponent a group's histogram counts has a frequency > 0 in the group's table (or its
// escape has).
ExponentTables choose_exponent_tables(std::span<const ExponentHistogram> groups);

}  // namespace kvcast::kernels
