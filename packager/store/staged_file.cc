#include "packager/store/staged_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <random>
#include <utility>

#include "packager/store/folders.h"

namespace kvcast::packager {
namespace {

using manifests::Result;
using manifests::Status;

constexpr size_t kMaxBytesPerCall = size_t{1} << 30;  // Linux moves a little under 2^31 at most

}  // namespace

Result<StagedFile> StagedFile::create(const std::string& folder) {
  std::random_device random;
  StagedFile file;
  do {
    file.path_ = fmt::format("{}/.tmp-{:08x}{:08x}", folder, random(), random());
    file.fd_ = ::open(file.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file.fd_ < 0 && errno == EEXIST);
  if (file.fd_ < 0) {
    file.path_.clear();
    return io_error(folder, "create a file in this folder", errno);
  }
  return file;
}

StagedFile::~StagedFile() {
  close();
  if (!path_.empty()) ::unlink(path_.c_str());
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : path_(std::exchange(other.path_, {})), fd_(std::exchange(other.fd_, -1)) {}

StagedFile& StagedFile::operator=(StagedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}

Status StagedFile::write(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t moved = ::pwrite(fd_, bytes.data(), std::min(bytes.size(), kMaxBytesPerCall),
                                   static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return io_error(path_, "write", moved < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(moved));
    offset += static_cast<uint64_t>(moved);
  }
  return {};
}

Status StagedFile::read(uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t moved = ::pread(fd_, bytes.data(), std::min(bytes.size(), kMaxBytesPerCall),
                                  static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return io_error(path_, "read back", moved < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(moved));
    offset += static_cast<uint64_t>(moved);
  }
  return {};
}

void StagedFile::start_writeback() const {
  // Advice: a failure shows at sync().
  (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

Status StagedFile::sync() const {
  if (::fsync(fd_) != 0) return io_error(path_, "sync", errno);
  return {};
}

void StagedFile::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status StagedFile::rename_to(const std::string& path) {
  if (std::rename(path_.c_str(), path.c_str()) != 0) {
    return io_error(path, "rename a finished file to this name", errno);
  }
  path_.clear();
  return {};
}

}  // namespace kvcast::packager
