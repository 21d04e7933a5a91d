// A folder of a test's own, gone with it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace kvcast::origin::testing {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Written aside and renamed into place; folders are made. The file's full path.
  std::string write(const std::string& name, std::string_view content) const;
  // Seconds since 1970.
  void set_modified(const std::string& name, int64_t unix_s) const;

 private:
  std::filesystem::path path_;
};

// Bytes that repeat nowhere soon; the same for the same arguments.
std::string noise(size_t bytes, unsigned seed);

}  // namespace kvcast::origin::testing
