// Test helper: a temporary folder, and what is below a folder.
#pragma once

#include <map>
#include <string>

namespace kvcast::packager {

class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);

// Relative path -> content of every file, temporaries included.
std::map<std::string, std::string> tree(const std::string& root);
// Relative path -> inode and time of change: what differs was written again.
std::map<std::string, std::string> stamps(const std::string& root);

}  // namespace kvcast::packager
