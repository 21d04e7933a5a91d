// A file being written under a temporary name in the folder where it will be renamed, and removed
// unless that happens. Linux descriptors; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "manifests/result.h"

namespace kvcast::packager {

class StagedFile {
 public:
  static manifests::Result<StagedFile> create(const std::string& folder);
  ~StagedFile();
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&& other) noexcept;

  manifests::Status write(uint64_t offset, std::span<const std::byte> bytes);
  manifests::Status read(uint64_t offset, std::span<std::byte> bytes) const;
  void start_writeback() const;  // lets many files be on their way to the disk before any is synced
  manifests::Status sync() const;
  void close();  // keeps the file: rename_to() may follow
  manifests::Status rename_to(const std::string& path);

 private:
  StagedFile() = default;
  std::string path_;  // temporary; empty once renamed
  int fd_ = -1;
};

}  // namespace kvcast::packager
