#include "manifests/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "manifests/file.h"

namespace kvcast::manifests {

Result<FolderLock> FolderLock::take(const std::string& folder, Mode mode) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(folder, "open the folder to lock it", errno);
  FolderLock lock(fd);
  while (::flock(fd, mode == Mode::kShared ? LOCK_SH : LOCK_EX) != 0 && errno == EINTR) {
  }
  return lock;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

}  // namespace kvcast::manifests
