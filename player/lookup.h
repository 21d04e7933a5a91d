// The presentation that holds the longest prefix of some tokens. An origin that offers it is asked
// for the whole chain of hashes at once. Static stores and CDNs do not: meanwhile, and whatever
// becomes of that question, the search goes on by static GETs, and the first to know ends it. Every
// block of 16 tokens that is stored has a file named by its prefix hash, and what lies before a
// stored block is stored too (manifests/prefix_format.md). So bisection finds the last one; several
// GETs at once cut more than in half, and the first round asks for the last block, since whole
// contexts that come again are the common case.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

#include "manifests/prefix_hash.h"
#include "manifests/result.h"
#include "player/download.h"

namespace kvcast::player {

struct LookupParams {
  std::string store_url;  // the store's root: what holds t/
  std::string tenant = "public";
  manifests::PrefixSeed seed;  // salt, weights id, adapter, extra keys
  uint32_t probes = 4;         // GETs a round
  bool ask_store = true;       // for the whole chain, where more than one round may be needed
};

struct StoredPrefix {
  manifests::PrefixEntry entry;  // entry.tokens of the tokens given are stored
  std::string manifest_url;
};

struct LongestPrefix {
  std::optional<StoredPrefix> stored;
  std::string how;  // for logs: "by the store's lookup", or "by GETs" and why
};

// Nothing stored: not even the first block is stored (404), or there is none. Error: a store that
// does not answer, or an entry that is not one. Blocks; takes all events of `downloader`, which
// must be idle, and leaves it so. A stop is noticed at the next event or within 50 ms, and is an
// error of kind kUsage that says "cancelled".
manifests::Result<LongestPrefix> find_longest_prefix(Downloader& downloader,
                                                     const LookupParams& params,
                                                     std::span<const uint32_t> tokens,
                                                     std::stop_token stop = {});

}  // namespace kvcast::player
