#include "manifests/file/temporary.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "manifests/digest.h"
#include "manifests/file.h"

namespace kvcast::manifests {
namespace {

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

// The same for all writers of a path, so that they can tell what earlier ones left.
std::string prefix_of(const std::string& path) {
  const std::string_view name = std::string_view(path).substr(path.find_last_of('/') + 1);
  return fmt::format("{}{:016x}-", kTemporaryPrefix, xxh3(std::as_bytes(std::span(name))));
}

}  // namespace

Result<TemporaryFile> TemporaryFile::create(const std::string& path) {
  const std::string folder = folder_of(path);
  if (Status made = make_folders(folder); !made.ok()) return made.error();
  const std::string prefix = prefix_of(path);
  remove_abandoned(folder, prefix);
  Result<StagedFile> file = StagedFile::create(folder, prefix, path);
  if (!file.ok()) return file.error();
  return TemporaryFile(path, std::move(*file));
}

Status TemporaryFile::commit() {
  if (Status synced = file_.sync(); !synced.ok()) return synced;
  if (Status renamed = file_.rename_to(path_); !renamed.ok()) return renamed;
  return sync_folder(folder_of(path_));
}

}  // namespace kvcast::manifests
