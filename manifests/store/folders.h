// Folders of the store: made on demand, and each synced once when everything in it is in place.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "manifests/result.h"

namespace kvcast::manifests {

// Thread-safe.
class Folders {
 public:
  Status make(const std::string& folder);  // parents too
  // A name in it is new, or was found there: whoever made it may have been killed before the sync.
  void changed(const std::string& folder);
  // Those made, found or changed since the last call, and all above them: what this run relies on
  // may be the work of one that was killed.
  Status sync();

 private:
  std::mutex mutex_;
  // Whether it is ours: a folder above the store that may not be opened was not made by its
  // packager.
  std::map<std::string, bool> unsynced_;
};

}  // namespace kvcast::manifests
