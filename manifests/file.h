// Files written whole or not at all, and read whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

// Temporary in the same folder, written, fsynced, renamed over `path`; folders are made as needed,
// and synced. On error the temporary is removed. Safe against another process writing the same
// path.
Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes);

// At most `limit` bytes; a longer file is an error, as is anything but a regular file.
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t limit);

}  // namespace kvcast::manifests
