// What coding a KV cache from a file costs: bytes of layers, speed of every implementation, and
// public codecs on the same symbols.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "manifests/result.h"
#include "tools/commands/bench_measure.h"

namespace kvcast::tools {

struct FileBench {
  std::string input;
  std::vector<uint32_t> chunk_tokens;  // speed is measured at the last
  float step = 0;                      // of the finest level
  BenchRounds rounds;
};

manifests::Result<std::vector<nlohmann::json>> file_rows(const FileBench& bench);

}  // namespace kvcast::tools
