// The tenant's folder of objects: what is complete gets its digest as name; what is there already
// is not written again. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "manifests/digest.h"
#include "manifests/manifest.h"
#include "manifests/result.h"
#include "packager/store/folders.h"
#include "packager/store/staged_file.h"

namespace kvcast::packager {

class ObjectStore {
 public:
  ObjectStore(std::string root, std::string tenant, bool verify_existing);

  // A temporary beside the objects.
  manifests::Result<StagedFile> stage();
  // Syncs `file`, which holds `object`'s bytes, and gives it its name; drops it where the object
  // exists.
  manifests::Status publish(StagedFile file, const manifests::ObjectRef& object);
  manifests::Result<manifests::ObjectRef> publish(std::span<const std::byte> bytes);

  Folders& folders() { return folders_; }
  uint64_t written() const { return written_; }
  uint64_t reused() const { return reused_; }

 private:
  manifests::Result<bool> exists(const std::string& path, const manifests::ObjectRef& object) const;

  const std::string root_, tenant_;
  const bool verify_existing_;
  Folders folders_;
  std::atomic<uint64_t> written_ = 0, reused_ = 0;
};

}  // namespace kvcast::packager
