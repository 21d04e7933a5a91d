// A presentation small enough for tests: its objects are a few made-up bytes each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "manifests/manifest.h"
#include "manifests/prefix_hash.h"

namespace kvcast::origin::testing {

struct Presentation {
  manifests::Manifest manifest;
  std::vector<manifests::Digest> hashes;       // of its blocks
  std::map<std::string, std::string> objects;  // path in the tenant's root -> bytes
  std::map<std::string, std::string> entries;  // the same, of its prefix entries
  std::string manifest_path() const { return "m/" + manifest.id + ".json"; }
  std::string manifest_text() const { return manifests::write_manifest(manifest); }
  // All of it below `root`, a tenant's.
  std::map<std::string, std::string> files() const;
};

inline constexpr char kModel[] = "model-1";

// Of these tokens, in chunks of 32. Objects depend on the id.
Presentation make_presentation(const std::string& id, std::vector<uint32_t> tokens,
                               const std::string& expires = "");

// 0, 1, ... and from `distinct_from` on other ones, by `seed`.
std::vector<uint32_t> some_tokens(size_t count, uint32_t seed = 0, size_t distinct_from = 0);

}  // namespace kvcast::origin::testing
