// The tables of a codec: every probability table of the profile, built.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/entropy/alias_table.h"
#include "kernels/entropy/rans_kernels.h"
#include "kernels/implementation/encode_kernels.h"
#include "kernels/implementation/vector_kernels.h"
#include "kernels/plane.h"
#include "kernels/plane/channels.h"
#include "kernels/plane/encode_scratch.h"
#include "kernels/plane/encode_tables.h"

namespace kvcast::kernels {

struct ClassTables {
  AliasTable base;
  std::vector<std::array<AliasTable, 3>> passes;
  AliasRegisters base_registers;
  std::vector<AliasRegisters> pass_registers;

  uint8_t escape() const { return static_cast<uint8_t>(base.alphabet() - 1); }
  int32_t largest() const { return static_cast<int32_t>(base.alphabet() / 2) - 1; }  // m
};

struct Codec::Tables {
  std::vector<ClassTables> classes;
  const VectorKernels* vectors = nullptr;  // nullptr: scalar
  const EncodeKernels* encoding = nullptr;
  EncodeTables encode_tables;  // of `classes`
  std::optional<ChannelKernels> channels;
  mutable EncodeScratchPool encode_scratch;
};

}  // namespace kvcast::kernels
