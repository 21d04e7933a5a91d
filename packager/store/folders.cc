#include "packager/store/folders.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace kvcast::packager {
namespace {

using manifests::Error;
using manifests::ErrorKind;
using manifests::Status;

std::string_view way_out(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "; free space or choose another --out, then run again: what is complete is reused";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose an --out that can be written";
    case EMFILE:
    case ENFILE:
      return "; raise `ulimit -n` or use fewer --threads";
    default:
      return "";
  }
}

Status sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return io_error(folder, "open the folder", errno);
  const int error_number = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // EINVAL: a file system whose folders cannot be synced; it has no better to offer.
  if (error_number != 0 && error_number != EINVAL) {
    return io_error(folder, "sync the folder", error_number);
  }
  return {};
}

}  // namespace

std::string folder_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Error io_error(std::string_view path, std::string_view what, int error_number) {
  return Error{ErrorKind::kIo,
               fmt::format("{}: cannot {}: {}{}", path, what,
                           std::generic_category().message(error_number), way_out(error_number))};
}

Status Folders::make(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) {
    changed(folder);
    changed(folder_of(folder));
    return {};
  }
  if (errno == EEXIST) return {};
  const std::string parent = folder_of(folder);
  if (errno != ENOENT || parent == folder) return io_error(folder, "make the folder", errno);
  if (Status made = make(parent); !made.ok()) return made;
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return io_error(folder, "make the folder", errno);
  }
  changed(folder);
  changed(parent);
  return {};
}

void Folders::changed(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  unsynced_.insert(folder);
}

Status Folders::sync() {
  std::set<std::string> folders;
  {
    const std::lock_guard lock(mutex_);
    folders = std::exchange(unsynced_, {});
  }
  for (const std::string& folder : folders) {
    if (Status synced = sync_folder(folder); !synced.ok()) return synced;
  }
  return {};
}

}  // namespace kvcast::packager
