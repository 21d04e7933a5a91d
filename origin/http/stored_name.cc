#include "origin/http/stored_name.h"

#include <array>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

using manifests::Digest;
using manifests::is_valid_name;

constexpr std::string_view kManifestSuffix = ".json", kLookupSuffix = ":longest";

struct Parts {
  std::array<std::string_view, 5> part;
  size_t count = 0;
};

Parts split(std::string_view path) {
  Parts parts;
  while (parts.count < parts.part.size()) {
    const size_t slash = path.find('/');
    parts.part[parts.count++] = path.substr(0, slash);
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
  parts.count = 0;  // more than any name has
  return parts;
}

}  // namespace

std::string StoredName::path() const {
  switch (kind) {
    case FileKind::kManifest:
      return manifests::manifest_path(tenant, name);
    case FileKind::kPrefixEntry:
      return manifests::prefix_path(tenant, name, digest);
    default:
      return manifests::object_path(tenant, digest);
  }
}

std::optional<StoredName> parse_stored_name(std::string_view path) {
  const auto [part, count] = split(path);
  if (count < 4 || !is_valid_name(part[1])) return {};
  StoredName stored{file_kind(path), std::string(part[1]), {}, {}};
  if (stored.kind == FileKind::kManifest && part[3].ends_with(kManifestSuffix)) {
    stored.name = part[3].substr(0, part[3].size() - kManifestSuffix.size());
    if (!is_valid_name(stored.name)) return {};
  } else if (stored.kind == FileKind::kPrefixEntry && is_valid_name(part[3])) {
    stored.name = part[3];
    stored.digest = *Digest::from_hex(part[4]);
  } else if (stored.kind == FileKind::kObject) {
    stored.digest = *Digest::from_hex(part[4].substr(0, 64));
  } else {
    return {};
  }
  return stored;
}

std::optional<LookupName> parse_lookup_name(std::string_view path) {
  const auto [part, count] = split(path);
  if (count != 4 || part[0] != "t" || part[2] != "k" || !part[3].ends_with(kLookupSuffix))
    return {};
  const std::string_view model = part[3].substr(0, part[3].size() - kLookupSuffix.size());
  if (!is_valid_name(part[1]) || !is_valid_name(model)) return {};
  return LookupName{std::string(part[1]), std::string(model)};
}

}  // namespace kvcast::origin
