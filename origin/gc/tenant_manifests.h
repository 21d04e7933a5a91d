// What the manifests of one tenant say, as far as removers need it. Reads files; not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/result.h"

namespace kvcast::origin {

struct StoredManifest {
  std::string id, model;                   // model: as in the paths of its prefix entries
  std::string expires;                     // RFC 3339 UTC; empty: never
  std::vector<manifests::Digest> objects;  // ascending
  bool names(const manifests::Digest& object) const;
  // Whether it is over at `now_s`, seconds since 1970.
  bool has_expired(int64_t now_s) const;
};

class TenantManifests {
 public:
  // `folder`: the tenant's own.
  explicit TenantManifests(std::string folder) : folder_(std::move(folder)) {}

  // Reads those that are new or were replaced since the last time, and forgets those that are gone.
  // A manifest that cannot be read is an error, for nobody knows what it names.
  manifests::Status refresh();

  // By id.
  const std::map<std::string, StoredManifest>& all() const { return manifests_; }
  // Null where there is none.
  const StoredManifest* find(const std::string& id) const;
  // Some manifest that names the object, or null.
  const StoredManifest* who_names(const manifests::Digest& object) const;
  // Another number after each refresh that found anything new, replaced or gone.
  uint64_t version() const { return version_; }
  std::string path_of(const std::string& id) const { return folder_ + "/m/" + id + ".json"; }

 private:
  struct Version {
    uint64_t inode = 0, bytes = 0;
    int64_t mtime_ns = 0;
    bool operator==(const Version&) const = default;
  };
  manifests::Status read(const std::string& id);

  const std::string folder_;
  std::map<std::string, StoredManifest> manifests_;
  std::map<std::string, Version> versions_;
  uint64_t version_ = 1;
};

}  // namespace kvcast::origin
