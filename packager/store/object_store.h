// The tenant's folder of objects: what is complete gets its digest as name; what is there already
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
#include "packager/store/folders.h"

namespace kvcast::packager {

// A complete object under its temporary name.
struct FinishedObject {
  manifests::StagedFile file;
  manifests::ObjectRef object;
};

class ObjectStore {
 public:
  ObjectStore(std::string root, std::string tenant, bool verify_existing);

  // Removes what killed runs left half written; living ones keep theirs.
  void remove_abandoned() const;
  // A temporary beside the objects: of whatever the tenant's folders are to hold.
  manifests::Result<manifests::StagedFile> stage();
  // Syncs each and gives it its name; drops those that exist. All are on their way to the disk
  // before the first is waited for, so that the file system can commit them together.
  manifests::Status publish(std::vector<FinishedObject> objects);
  manifests::Result<manifests::ObjectRef> publish(std::span<const std::byte> bytes);

  Folders& folders() { return folders_; }
  uint64_t written() const { return written_; }
  uint64_t reused() const { return reused_; }

 private:
  std::string folder() const;
  manifests::Result<bool> exists(const std::string& path, const manifests::ObjectRef& object) const;

  const std::string root_, tenant_;
  const bool verify_existing_;
  Folders folders_;
  std::atomic<uint64_t> written_ = 0, reused_ = 0;
};

}  // namespace kvcast::packager
