// Prefix entries whose presentation is gone or is to go. Reads files; not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/prefix_hash.h"

namespace kvcast::origin {

struct StrayEntry {
  std::string path, model;
  manifests::Digest hash;
  manifests::PrefixEntry entry;                       // what it says
  std::optional<manifests::PrefixEntry> replacement;  // another presentation that holds the same
};

// Those below the tenant's `folder` whose presentation `is_dead`. One that cannot be read is left
// alone.
std::vector<StrayEntry> find_stray_entries(
    const std::string& folder, const std::function<bool(const std::string& id)>& is_dead);

// Sets `replacement` where this presentation holds the same tokens: from the entry's hash its
// tokens must lead on to the hash that it states for the end of the chunk.
void offer_replacement(const manifests::Manifest& manifest, std::span<const uint32_t> tokens,
                       StrayEntry& stray);

// The presentation's token ids, from its manifest or its text object; none if they are not there.
std::vector<uint32_t> tokens_of(const manifests::Manifest& manifest, const std::string& folder);

}  // namespace kvcast::origin
