// Test helper: bytes of a format that tests hold fixed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace kvcast::kernels {

// The tables of a format page's worked example, as bytes: what stands in backquotes in the first
// column. `page` is relative to the source tree.
std::vector<std::vector<std::byte>> worked_example(const std::string& page);

// The bytes of tests/golden/<name>. With KVCAST_WRITE_GOLDEN in the environment the file is written
// from `fresh` first.
std::vector<std::byte> golden(const std::string& name, std::span<const std::byte> fresh);

}  // namespace kvcast::kernels
