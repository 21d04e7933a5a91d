// Where things lie below a store's root (a directory, a URL, a bucket). Pure.
//   t/<tenant>/m/<presentation>.json
//   t/<tenant>/o/ab/abcdef….kvo
//   t/<tenant>/k/<model>/<prefix hash>
// No path leaves the root: a tenant or presentation that is not a valid name throws
// std::invalid_argument, so whoever takes one from outside asks is_valid_name first.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "manifests/digest.h"

namespace kvcast::manifests {

inline constexpr std::string_view kDefaultTenant = "public";

inline constexpr size_t kMaxNameChars = 64;

// 1-64 of [A-Za-z0-9._-], not starting with a dot.
bool is_valid_name(std::string_view name);

// A weights id as a path component: itself when valid, else the first 32 hex digits of its SHA-256.
std::string model_component(std::string_view weights);

std::string tenant_root(std::string_view tenant);  // "t/public/"
std::string manifest_path(std::string_view tenant,
                          std::string_view presentation);  // "t/public/m/ID.json"
std::string object_path(std::string_view tenant,
                        const Digest& digest);            // "t/public/o/ab/abcdef….kvo"
std::string object_path_in_tenant(const Digest& digest);  // "o/ab/abcdef….kvo"
std::string prefix_path(std::string_view tenant, std::string_view weights,
                        const Digest& prefix_hash);
// Not a file: where an origin answers lookups of whole chains (prefix_format.md).
// "t/public/k/MODEL:longest"
std::string lookup_path(std::string_view tenant, std::string_view weights);

}  // namespace kvcast::manifests
