// A file under a temporary name beside its final one: renamed when complete, removed when not.
#pragma once

#include <string>

#include "manifests/file/descriptor.h"
#include "manifests/result.h"

namespace kvcast::manifests {

// One thread creates, commits and destroys; any number may write through descriptor() in between.
class TemporaryFile {
 public:
  // Beside `path`; folders are made as needed, and synced.
  static Result<TemporaryFile> create(const std::string& path);
  ~TemporaryFile();  // removes what was not committed
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;

  const Descriptor& descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }  // the final one

  // Syncs the file, renames it over `path`, syncs the folder. Once.
  Status commit();

 private:
  TemporaryFile() = default;
  std::string path_, temporary_path_;  // the latter empty once there is nothing to remove
  Descriptor descriptor_;
};

}  // namespace kvcast::manifests
