// A file being written under a temporary name in a folder, and removed unless it is renamed. While
// it is written it is locked (flock), so that what a killed process left can be told from what a
// living one still writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::manifests {

// Of temporaries' names; no reader takes a name with a dot in front for content.
inline constexpr std::string_view kTemporaryPrefix = ".tmp-";

// One thread creates, renames and destroys; any number may write different ranges in between.
class StagedFile {
 public:
  // `prefix` + 16 random digits, in a folder that exists. `shown_as`: what messages call it; empty:
  // the temporary name.
  static Result<StagedFile> create(const std::string& folder,
                                   std::string_view prefix = kTemporaryPrefix,
                                   std::string shown_as = {});
  ~StagedFile();
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&& other) noexcept;

  Status write(uint64_t offset, std::span<const std::byte> bytes) const;
  Status read(uint64_t offset, std::span<std::byte> bytes) const;
  Status resize(uint64_t bytes) const;  // what was never written reads as zeros
  void start_writeback() const;  // lets many files be on their way to the disk before any is synced
  Status sync() const;
  Status rename_to(const std::string& path);  // over what is there. The folder is not synced

 private:
  StagedFile() = default;
  std::string path_;  // temporary; empty once renamed
  std::string shown_as_;
  int fd_ = -1;
};

// Removes the files of `folder` whose names start with `prefix` and that no living process writes.
// What cannot be removed stays; where files cannot be locked, all do.
void remove_abandoned(const std::string& folder, std::string_view prefix = kTemporaryPrefix);

}  // namespace kvcast::manifests
