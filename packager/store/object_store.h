// The tenant's objects in a store: what is complete gets its digest as name; what is there already
// is not written again. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "manifests/staged_file.h"
#include "manifests/store.h"

namespace kvcast::packager {

// A complete object under its temporary name.
struct FinishedObject {
  manifests::StagedFile file;
  manifests::ObjectRef object;
};

class ObjectStore {
 public:
  // `store` outlives it.
  ObjectStore(manifests::Store& store, std::string tenant, bool verify_existing);

  // Removes what killed runs left half written; living ones keep theirs.
  void remove_abandoned();
  // A temporary beside the objects: of whatever the tenant's folders are to hold.
  manifests::Result<manifests::StagedFile> stage();
  // Gives each its name; drops those that exist.
  manifests::Status publish(std::vector<FinishedObject> objects);
  manifests::Result<manifests::ObjectRef> publish(std::span<const std::byte> bytes);

  manifests::Store& store() { return store_; }
  uint64_t written() const { return written_; }
  uint64_t reused() const { return reused_; }

 private:
  std::string folder() const;
  enum class Found { kNothing, kAnother, kSame };
  manifests::Result<Found> look_for(const std::string& path, const manifests::ObjectRef& object);

  manifests::Store& store_;
  const std::string tenant_;
  const bool verify_existing_;
  std::atomic<uint64_t> written_ = 0, reused_ = 0;
};

}  // namespace kvcast::packager
