// What `inspect` and `verify` are pointed at: a store, a manifest, an object, a prefix entry or a
// KV file, by path or (all but stores and KV files) by URL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "manifests/result.h"
#include "packager/verify.h"

namespace kvcast::tools {

enum class StoredKind { kStore, kManifest, kObject, kPrefixEntry, kKvFile };

struct StoredInput {
  StoredKind kind = StoredKind::kStore;
  std::string name;                                 // the path or URL
  std::vector<std::byte> bytes;                     // of all but stores and KV files
  std::unique_ptr<packager::ObjectReader> objects;  // beside it; may be null for an object

  std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

manifests::Result<StoredInput> open_stored_input(const std::string& path_or_url);

}  // namespace kvcast::tools
