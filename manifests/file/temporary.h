// A file under a temporary name beside its final one: renamed when complete, removed when not.
#pragma once

#include <string>

#include "manifests/result.h"
#include "manifests/staged_file.h"

namespace kvcast::manifests {

// One thread creates, commits and destroys; any number may write through file() in between.
class TemporaryFile {
 public:
  // Beside `path`; folders are made as needed, and synced. Removes what killed writers of the same
  // path left. Messages name `path`.
  static Result<TemporaryFile> create(const std::string& path);

  const StagedFile& file() const { return file_; }
  const std::string& path() const { return path_; }  // the final one

  // Syncs the file, renames it over `path`, syncs the folder. Once.
  Status commit();

 private:
  TemporaryFile(std::string path, StagedFile file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::string path_;
  StagedFile file_;
};

}  // namespace kvcast::manifests
