// Rules of single fields of a manifest: manifests/manifest_format.md. Internal.
#pragma once

#include <string>
#include <string_view>

namespace kvcast::manifests {

inline constexpr size_t kMaxUrlBytes = 2048;

// "2026-01-31T12:00:00Z", with or without a fraction of the second.
bool is_rfc3339_utc(std::string_view text);

// http:, https: or relative, ending in a slash; no other scheme, no path from a root, no query, no
// fragment, nothing that is not a printable character.
bool is_base_url(std::string_view url);

// What is wrong with the family or major version of a codec string, or nothing.
std::string codec_version_fault(std::string_view codec);

}  // namespace kvcast::manifests
