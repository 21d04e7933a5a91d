// Builds the tables of encoders. They point into the alias tables' slots: keep those, or copies of
// them.
#pragma once

#include <span>

#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/rans_encode_kernels.h"

namespace kvcast::kernels {

EncodeTable encode_table(const AliasTable& table);

// Of the contexts of a pass: at most three tables, each of alphabet 4 at most.
EncodeTable encode_table(std::span<const AliasTable* const> contexts);

}  // namespace kvcast::kernels
