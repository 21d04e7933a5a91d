#include "origin/ingest/folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "origin/files/root.h"

namespace kvcast::origin {
namespace {

std::string parent_of(const std::string& folder) {
  const size_t slash = folder.rfind('/');
  return slash == std::string::npos ? "" : folder.substr(0, slash);
}

int sync_path(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) return errno;
  // EINVAL: a file system whose folders cannot be synced; it has no better to offer.
  return ::fsync(folder.get()) == 0 || errno == EINVAL ? 0 : errno;
}

}  // namespace

bool Folders::is_known(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  return known_.contains(folder);
}

int Folders::make(const std::string& folder) {
  if (::mkdir(full(folder).c_str(), 0777) == 0 || errno == EEXIST) return 0;
  if (errno != ENOENT || folder.empty()) return errno;
  if (const int error = make(parent_of(folder)); error != 0) return error;
  return ::mkdir(full(folder).c_str(), 0777) == 0 || errno == EEXIST ? 0 : errno;
}

int Folders::sync(const std::string& folder) {
  if (const int error = sync_path(full(folder)); error != 0) return error;
  for (std::string child = folder; !child.empty() && !is_known(child); child = parent_of(child)) {
    if (const int error = sync_path(full(parent_of(child))); error != 0) return error;
    const std::lock_guard lock(mutex_);
    known_.insert(child);
  }
  return 0;
}

}  // namespace kvcast::origin
