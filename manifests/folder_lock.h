// A lock on a tenant's folder of a store, between those who publish into it and those who remove
// what nothing names. Publishers hold it shared while they make an object that they find as young
// as a new one; origins while they check what a manifest names and put it in place. A remover holds
// it alone from when it looks at what is named, and how old that is, until it has removed. It is
// flock on the folder itself: no file to leave behind, and gone with its process.
#pragma once

#include <string>

#include "manifests/result.h"

namespace kvcast::manifests {

class FolderLock {
 public:
  enum class Mode { kShared, kExclusive };
  // Waits until it is to be had. Where the file system has no locks, nothing is held. Error: the
  // folder cannot be opened.
  static Result<FolderLock> take(const std::string& folder, Mode mode);
  ~FolderLock();
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace kvcast::manifests
