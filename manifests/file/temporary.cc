#include "manifests/file/temporary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <utility>

namespace kvcast::manifests {
namespace {

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status sync_folder(const std::string& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) return io_error(folder, "open the folder", errno);
  // EINVAL: a file system whose folders cannot be synced; it has no better to offer.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    return io_error(folder, "sync the folder", errno);
  }
  return {};
}

Status make_folders(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) return sync_folder(folder_of(folder));
  if (errno == EEXIST) return {};
  if (errno != ENOENT || folder_of(folder) == folder) {
    return io_error(folder, "make the folder", errno);
  }
  if (Status parents = make_folders(folder_of(folder)); !parents.ok()) return parents;
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return io_error(folder, "make the folder", errno);
  }
  return sync_folder(folder_of(folder));
}

std::string random_name() {
  std::random_device random;
  return fmt::format("/.tmp-{:08x}{:08x}", random(), random());
}

}  // namespace

Result<TemporaryFile> TemporaryFile::create(const std::string& path) {
  const std::string folder = folder_of(path);
  if (Status made = make_folders(folder); !made.ok()) return made.error();
  TemporaryFile file;
  file.path_ = path;
  do {
    file.temporary_path_ = folder + random_name();
    file.descriptor_ = Descriptor(
        ::open(file.temporary_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  } while (!file.descriptor_.is_open() && errno == EEXIST);
  if (!file.descriptor_.is_open()) {
    const Error error = io_error(path, "create a temporary file in its folder", errno);
    file.temporary_path_.clear();
    return error;
  }
  return file;
}

TemporaryFile::~TemporaryFile() {
  if (!temporary_path_.empty()) ::unlink(temporary_path_.c_str());
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      descriptor_(std::move(other.descriptor_)) {}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_path_, other.temporary_path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

Status TemporaryFile::commit() {
  if (::fsync(descriptor_.get()) != 0) return io_error(path_, "sync", errno);
  if (std::rename(temporary_path_.c_str(), path_.c_str()) != 0) {
    return io_error(path_, "rename the finished temporary file to this name", errno);
  }
  temporary_path_.clear();
  return sync_folder(folder_of(path_));
}

}  // namespace kvcast::manifests
