// Token ids in a file: a JSON list, or numbers separated by white space.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "manifests/result.h"

namespace kvcast::tools {

manifests::Result<std::vector<uint32_t>> read_token_ids(const std::string& path);

}  // namespace kvcast::tools
