// How a chunk is found from tokens: a hash chain over blocks of 16. Format:
// manifests/prefix_format.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/digest.h"
#include "manifests/result.h"

namespace kvcast::manifests {

inline constexpr uint32_t kPrefixBlockTokens = 16;

// What separates caches of equal tokens. All may be empty.
struct PrefixSeed {
  std::string salt;  // a tenant's secret, from a file or the environment
  std::string weights;
  std::string adapter;
  std::vector<std::string> extra_keys;  // e.g. hashes of images
};

// hashes[i] covers tokens [0, 16 (i + 1)); a last partial block has none.
std::vector<Digest> prefix_hashes(const PrefixSeed& seed, std::span<const uint32_t> tokens);

// An entry file of the store: the longest stored prefix is the last block whose entry exists.
struct PrefixEntry {
  std::string presentation;  // id: its manifest is ../../m/<id>.json from the entry
  uint64_t tokens = 0;       // 16 (i + 1)
  uint32_t chunk = 0;        // which chunk holds the last of them
  bool operator==(const PrefixEntry&) const = default;
};
std::string write_prefix_entry(const PrefixEntry& entry);
Result<PrefixEntry> read_prefix_entry(std::string_view json, std::string_view name);

}  // namespace kvcast::manifests
