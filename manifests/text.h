// A context's token ids and UTF-8 text as an object, for contexts too long to put in a manifest.
// Format: manifests/object_format.md, "Text objects".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"

namespace kvcast::manifests {

inline constexpr size_t kInlineTextTokens = 16384;  // longer contexts go by digest

struct ContextText {
  std::vector<uint32_t> tokens;
  std::string utf8;  // may be empty
  bool operator==(const ContextText&) const = default;
};

std::vector<std::byte> write_text_object(const ContextText& text);
Result<ContextText> read_text_object(std::span<const std::byte> bytes, std::string_view name);

}  // namespace kvcast::manifests
