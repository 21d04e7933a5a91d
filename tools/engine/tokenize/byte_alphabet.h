// Byte-level BPE writes each byte as a printable character: itself where it prints, else U+0100 and
// up in byte order. https://github.com/openai/gpt-2, encoder.py, bytes_to_unicode
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace kvcast::engine {

// The bytes a vocabulary entry stands for; nothing if it has a character outside the alphabet.
std::optional<std::string> bytes_of_entry(std::string_view entry);

}  // namespace kvcast::engine
