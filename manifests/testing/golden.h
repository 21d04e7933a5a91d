// Golden vectors in tests/golden/ and worked examples in format pages. Tests only.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvcast::manifests {

std::span<const std::byte> as_bytes(std::string_view text);
std::string as_text(std::span<const std::byte> bytes);

// The file `name` below tests/golden/; a failed expectation when it is not there.
std::vector<std::byte> golden(const std::string& name);

// That the file holds these bytes. With KVCAST_WRITE_GOLDEN set in the environment it is written
// instead: how the vectors were made.
void expect_golden(const std::string& name, std::span<const std::byte> bytes);

// The lines between "<!-- example NAME -->" and the next "<!-- end -->" of a page in manifests/,
// without the fences of a code block.
std::string page_example(const std::string& page, const std::string& name);

// The bytes of a hex dump: "0000  89 4b ...  |comment" a line; offset and comment are dropped.
std::vector<std::byte> bytes_of_dump(const std::string& dump);

}  // namespace kvcast::manifests
