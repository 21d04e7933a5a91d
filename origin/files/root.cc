#include "origin/files/root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace kvcast::origin {
namespace {

// O_NONBLOCK: opening a FIFO must not wait for its writer.
constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
// openat2 answers EAGAIN when a rename anywhere made its check uncertain.
constexpr int kMaxRaces = 16;

int openat2_beneath(int folder, const char* path, int flags) {
  struct open_how how {};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  int fd = -1;
  for (int attempt = 0; attempt < kMaxRaces; ++attempt) {
    fd = static_cast<int>(::syscall(SYS_openat2, folder, path, &how, sizeof how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

FileInfo info_of(const struct stat& info) {
  const auto nanoseconds = [](const timespec& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  };
  return FileInfo{static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim), info.st_ino,
                  info.st_dev, nanoseconds(info.st_ctim)};
}

int status_of_errno(int error) {
  switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return 503;
    case EIO:
      return 500;
    default:
      return 404;
  }
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

manifests::Result<Root> Root::open_directory(const std::string& path, Method method) {
  Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) {
    return manifests::Error{manifests::ErrorKind::kIo, path + ": cannot serve this directory: " +
                                                           std::generic_category().message(errno)};
  }
  if (method == Method::kWalk) return Root(std::move(folder), method);
  const Descriptor probe(openat2_beneath(folder.get(), ".", O_PATH | O_CLOEXEC));
  if (probe.is_open()) return Root(std::move(folder), Method::kOpenat2);
  if (method == Method::kBest) return Root(std::move(folder), Method::kWalk);
  return manifests::Error{manifests::ErrorKind::kIo, path + ": openat2 is not to be had here: " +
                                                         std::generic_category().message(errno)};
}

int Root::open_beneath(const std::string& path) const {
  return openat2_beneath(descriptor_.get(), path.c_str(), kFileFlags);
}

int Root::open_by_walk(const std::string& path) const {
  Descriptor folder;
  size_t begin = 0;
  if (("/" + path + "/").find("/../") != std::string::npos) {
    errno = ENOENT;
    return -1;
  }
  while (true) {
    const int parent = folder.is_open() ? folder.get() : descriptor_.get();
    const size_t end = path.find('/', begin);
    if (end == std::string::npos) {
      return ::openat(parent, path.c_str() + begin, kFileFlags | O_NOFOLLOW);
    }
    Descriptor next(::openat(parent, path.substr(begin, end - begin).c_str(),
                             O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next.is_open()) return -1;
    folder = std::move(next);
    begin = end + 1;
  }
}

OpenedFile Root::open(const std::string& path) const {
  OpenedFile file;
  file.descriptor =
      Descriptor(method_ == Method::kOpenat2 ? open_beneath(path) : open_by_walk(path));
  if (!file.descriptor.is_open()) {
    file.error_status = status_of_errno(errno);
    return file;
  }
  struct stat info {};
  if (::fstat(file.descriptor.get(), &info) != 0) {
    file.error_status = 500;
    return file;
  }
  if (!S_ISREG(info.st_mode)) {
    file.error_status = 404;
    return file;
  }
  file.info = info_of(info);
  return file;
}

bool Root::is_there() const {
  struct stat info {};
  return ::fstat(descriptor_.get(), &info) == 0 && info.st_nlink > 0;
}

std::optional<FileInfo> Root::stat(const std::string& path) const {
  struct stat info {};
  if (::fstatat(descriptor_.get(), path.c_str(), &info, 0) != 0) return {};
  return info_of(info);
}

}  // namespace kvcast::origin
