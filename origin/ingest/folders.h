// Folders of the store, made on demand. What was renamed into one survives a power cut once sync()
// has returned: also where the folder itself was made lately, by us or by someone who was killed
// before it could see to that. Thread-safe.
#pragma once

#include <mutex>
#include <string>
#include <unordered_set>

namespace kvcast::origin {

class Folders {
 public:
  explicit Folders(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string full(const std::string& path) const { return root_ + "/" + path; }
  // `folder` below the root, parents too. 0, or an errno.
  int make(const std::string& folder);
  // The names in `folder`, and once for each folder above, its own name. 0, or an errno.
  int sync(const std::string& folder);

 private:
  bool is_known(const std::string& folder);

  const std::string root_;
  std::mutex mutex_;
  std::unordered_set<std::string> known_;  // folders whose own names are safe
};

}  // namespace kvcast::origin
