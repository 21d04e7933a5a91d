#include "manifests/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "manifests/file/descriptor.h"
#include "manifests/file/temporary.h"

namespace kvcast::manifests {
namespace {

std::string_view way_out(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "; free space, then run again: what is complete is not lost";
    case EMFILE:
    case ENFILE:
      return "; raise `ulimit -n`";
    default:
      return "";
  }
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

Status sync_folder(const std::string& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.is_open()) return io_error(folder, "open the folder", errno);
  // EINVAL: a file system whose folders cannot be synced; it has no better to offer.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) {
    return io_error(folder, "sync the folder", errno);
  }
  return {};
}

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  Result<TemporaryFile> file = TemporaryFile::create(path);
  if (!file.ok()) return file.error();
  if (Status written = file->file().write(0, bytes); !written.ok()) return written;
  return file->commit();
}

Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t limit) {
  Result<OpenFile> file = open_regular_file(path);
  if (!file.ok()) return file.error();
  if (file->bytes > limit) {
    return Error{ErrorKind::kCorrupt,
                 fmt::format("{}: {} bytes, more than the limit of {}", path, file->bytes, limit)};
  }
  std::vector<std::byte> bytes(file->bytes);
  if (Status read = read_at(file->descriptor.get(), 0, bytes, path); !read.ok())
    return read.error();
  return bytes;
}

}  // namespace kvcast::manifests
