// Folders of the store: made on demand, and each synced once when everything in it is in place.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "manifests/result.h"

namespace kvcast::packager {

std::string folder_of(const std::string& path);

// "PATH: cannot WHAT: reason of `error_number`", with a way out where one is known.
manifests::Error io_error(std::string_view path, std::string_view what, int error_number);

// Thread-safe.
class Folders {
 public:
  manifests::Status make(const std::string& folder);  // parents too
  void changed(const std::string& folder);            // a name in it is new
  manifests::Status sync();                           // those made or changed since the last call

 private:
  std::mutex mutex_;
  std::set<std::string> unsynced_;
};

}  // namespace kvcast::packager
