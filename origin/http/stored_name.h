// A path below the root as what a store keeps there (manifests/layout.h): names that may be
// written. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "manifests/digest.h"
#include "origin/http/file_kind.h"

namespace kvcast::origin {

struct StoredName {
  FileKind kind = FileKind::kObject;  // never kOther
  std::string tenant;
  std::string name;          // a manifest's presentation, a prefix entry's model; objects: empty
  manifests::Digest digest;  // an object's, or a prefix entry's hash
  bool operator==(const StoredName&) const = default;

  std::string path() const;  // below the root
};

// Nothing for any other path: every part must be spelled as the layout spells it.
std::optional<StoredName> parse_stored_name(std::string_view path);

// "t/<tenant>/k/<model>:longest", where the longest stored prefix is asked for.
struct LookupName {
  std::string tenant, model;
};
std::optional<LookupName> parse_lookup_name(std::string_view path);

}  // namespace kvcast::origin
