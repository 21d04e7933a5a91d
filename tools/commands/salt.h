// The tenant's secret in prefix hashes: from a file, else from the environment, never from the
// command line, which others can see.
#pragma once

#include <string>

#include "manifests/result.h"

namespace kvcast::tools {

// The content of `path` without a line end; without a path KVCAST_SALT, or nothing.
manifests::Result<std::string> read_salt(const std::string& path);

}  // namespace kvcast::tools
