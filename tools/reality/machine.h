// What a simulation has to be told about this machine, measured by plays over a link that is no
// limit.
#pragma once

#include <cstdint>
#include <string>

#include "manifests/result.h"

namespace kvcast::reality {

struct Machine {
  double decode_gb_per_s = 0;   // KV written, of one plane
  uint64_t manifest_bytes = 0;  // as it goes over the link: compressed
};

manifests::Result<Machine> measure_machine(const std::string& store, const std::string& manifest,
                                           const std::string& scratch_folder);

}  // namespace kvcast::reality
