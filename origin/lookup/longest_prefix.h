// The longest stored prefix of a chain of blocks, found in the store's own folder
// (manifests/prefix_format.md): what a client else finds by a series of GETs.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "manifests/digest.h"
#include "manifests/prefix_hash.h"
#include "origin/files/root.h"
#include "origin/http/stored_name.h"

namespace kvcast::origin {

// `entry_of(i)`: what is stored of block i. Where a block is stored, so are those before it: asks
// about the last one, then bisects. Pure.
std::optional<manifests::PrefixEntry> find_longest_prefix(
    size_t blocks,
    const std::function<std::optional<manifests::PrefixEntry>(size_t block)>& entry_of);

// The entry of a block; none also where it is damaged, speaks of other tokens, or names a
// presentation whose manifest is not there. Reads files; any thread.
std::optional<manifests::PrefixEntry> stored_entry(const Root& root, const LookupName& name,
                                                   const manifests::Digest& hash, size_t block);

// The body of the answer: the entry as it is stored, or {"kvcast":1,"tokens":0}. `hashes`: 32 bytes
// a block, from the first one on.
std::string answer_lookup(const Root& root, const LookupName& name,
                          std::span<const std::byte> hashes);

}  // namespace kvcast::origin
