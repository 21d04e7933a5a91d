// Alias tables laid out for vector registers.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "kernels/entropy/rans_kernels.h"

namespace kvcast::kernels {

// `frequency` must satisfy is_probability_table.
AliasRegisters alias_registers(std::span<const uint16_t> frequency);

// The tables of a pass's three contexts, each of alphabet 4 at most.
AliasRegisters pass_registers(const std::array<std::span<const uint16_t>, 3>& contexts);

}  // namespace kvcast::kernels
