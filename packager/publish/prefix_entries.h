// The prefix entries of a presentation, so that it is found from its tokens:
// manifests/prefix_format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "packager/store/object_store.h"

namespace kvcast::packager {

struct PrefixEntryCount {
  uint64_t written = 0, reused = 0;
};

// One entry a hash, ascending, so that whichever are there after a crash are the first ones. Some
// hundred at a time are sent to the disk before the first is waited for. The manifest must be in
// place, and synced. Syncs the store.
manifests::Result<PrefixEntryCount> publish_prefix_entries(
    const std::string& tenant, const manifests::Manifest& manifest,
    std::span<const manifests::Digest> hashes, ObjectStore& store,
    const std::function<void(uint64_t done)>& on_entry);

}  // namespace kvcast::packager
