// Codecs of other projects beside ours on the same symbols.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

// `symbols`: signed bytes. For every public codec that the build found: coding them to bytes and
// back, and back and through a vectorised dequantisation to bf16. Throws std::logic_error where one
// does not restore the symbols.
void add_peers(const std::string& what, const std::vector<uint8_t>& symbols,
               std::vector<BenchCase>& cases);

}  // namespace kvcast::tools
