#include "manifests/staged_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <random>
#include <utility>

#include "manifests/file.h"
#include "manifests/file/descriptor.h"

namespace kvcast::manifests {
namespace {

// False: someone else has it, or has already removed its name.
bool is_ours(int fd) {
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat info {};
  return ::fstat(fd, &info) != 0 || info.st_nlink > 0;
}

void remove_if_abandoned(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.is_open() || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  ::unlink(path.c_str());
}

}  // namespace

Result<StagedFile> StagedFile::create(const std::string& folder, std::string_view prefix,
                                      std::string shown_as) {
  std::random_device random;
  StagedFile file;
  file.shown_as_ = std::move(shown_as);
  while (true) {
    file.path_ = fmt::format("{}/{}{:08x}{:08x}", folder, prefix, random(), random());
    file.fd_ = ::open(file.path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd_ >= 0 && is_ours(file.fd_)) break;
    const int error_number = file.fd_ < 0 ? errno : EEXIST;
    if (file.fd_ >= 0) ::close(std::exchange(file.fd_, -1));
    file.path_.clear();  // not, or no longer, ours to remove
    if (error_number == EEXIST) continue;
    return io_error(file.shown_as_.empty() ? folder : file.shown_as_,
                    "create a temporary file in its folder", error_number);
  }
  if (file.shown_as_.empty()) file.shown_as_ = file.path_;
  return file;
}

StagedFile::~StagedFile() {
  if (!path_.empty()) ::unlink(path_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

StagedFile::StagedFile(StagedFile&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      shown_as_(std::move(other.shown_as_)),
      fd_(std::exchange(other.fd_, -1)) {}

StagedFile& StagedFile::operator=(StagedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(shown_as_, other.shown_as_);
  std::swap(fd_, other.fd_);
  return *this;
}

Status StagedFile::write(uint64_t offset, std::span<const std::byte> bytes) const {
  return write_at(fd_, offset, bytes, shown_as_);
}

Status StagedFile::read(uint64_t offset, std::span<std::byte> bytes) const {
  return read_at(fd_, offset, bytes, shown_as_);
}

Status StagedFile::resize(uint64_t bytes) const {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) == 0) return {};
  return io_error(shown_as_, fmt::format("grow to {} bytes", bytes), errno);
}

void StagedFile::start_writeback() const {
  // Advice: a failure shows at sync().
  (void)::sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

Status StagedFile::sync() const {
  if (::fsync(fd_) != 0) return io_error(shown_as_, "sync", errno);
  return {};
}

Status StagedFile::rename_to(const std::string& path) {
  if (std::rename(path_.c_str(), path.c_str()) != 0) {
    return io_error(path, "rename the finished temporary file to this name", errno);
  }
  path_.clear();
  return {};
}

void remove_abandoned(const std::string& folder, std::string_view prefix) {
  struct Close {
    void operator()(DIR* listing) const { ::closedir(listing); }
  };
  const std::unique_ptr<DIR, Close> listing(::opendir(folder.c_str()));
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) {
      remove_if_abandoned(folder + "/" + entry->d_name);
    }
  }
}

}  // namespace kvcast::manifests
