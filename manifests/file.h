// Files written whole or not at all, and read whole; and what is needed to do so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

// Temporary in the same folder, written, fsynced, renamed over `path`; folders are made as needed,
// and synced. On error the temporary is removed; after a kill the next write of the same path
// removes it. Safe against another process writing the same path.
Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes);

// At most `limit` bytes; a longer file is an error, as is anything but a regular file.
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t limit);

// "a/b" of "a/b/c", "/" of "/a", "." of "a".
std::string folder_of(const std::string& path);

// What was renamed into the folder, or made in it, survives a power cut from then on.
Status sync_folder(const std::string& folder);

// "PATH: cannot WHAT: reason of `error_number`", with a way out where one is known.
Error io_error(std::string_view path, std::string_view what, int error_number);

}  // namespace kvcast::manifests
