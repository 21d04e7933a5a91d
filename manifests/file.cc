#include "manifests/file.h"

#include <fmt/format.h>

#include "manifests/file/descriptor.h"
#include "manifests/file/temporary.h"

namespace kvcast::manifests {

Status write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  Result<TemporaryFile> file = TemporaryFile::create(path);
  if (!file.ok()) return file.error();
  if (Status written = write_at(file->descriptor(), 0, bytes, path); !written.ok()) return written;
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
  if (Status read = read_at(file->descriptor, 0, bytes, path); !read.ok()) return read.error();
  return bytes;
}

}  // namespace kvcast::manifests
