// The tables that only encoders need, built at the first call that asks for them: a player's codec
// never pays for these.
#pragma once

#include <mutex>
#include <span>
#include <vector>

#include "kernels/entropy/rans_encode_kernels.h"

namespace kvcast::kernels {

struct ClassTables;

struct ClassEncodeTables {
  EncodeTable base;
  std::vector<EncodeTable> passes;
};

// Thread-safe.
class EncodeTables {
 public:
  // Always given the same classes, which must outlive this.
  std::span<const ClassEncodeTables> of(std::span<const ClassTables> classes) const;

 private:
  mutable std::once_flag once_;
  mutable std::vector<ClassEncodeTables> built_;
};

}  // namespace kvcast::kernels
