// A folder for the files of one bench run; it goes with the object.
#pragma once

#include <string>

namespace kvcast::tools {

class ScratchFolder {
 public:
  ScratchFolder();  // below the system's temporary folder; throws when it cannot be made
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string in(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace kvcast::tools
