#include "manifests/store/folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "manifests/file.h"

namespace kvcast::manifests {

Status Folders::make(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) {
    changed(folder);
    changed(folder_of(folder));
    return {};
  }
  if (errno == EEXIST) {
    changed(folder);
    return {};
  }
  const std::string parent = folder_of(folder);
  if (errno != ENOENT || parent == folder) {
    return io_error(folder, "make the folder", errno);
  }
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
  unsynced_[folder] = true;
  for (std::string below = folder, above = folder_of(folder); above != below;
       below = above, above = folder_of(below)) {
    if (!unsynced_.try_emplace(above, false).second) return;
  }
}

Status Folders::sync() {
  std::map<std::string, bool> folders;
  {
    const std::lock_guard lock(mutex_);
    folders = std::exchange(unsynced_, {});
  }
  for (const auto& [folder, ours] : folders) {
    Status synced = sync_folder(folder);
    if (!synced.ok() && (ours || ::access(folder.c_str(), R_OK) == 0)) return synced;
  }
  return {};
}

}  // namespace kvcast::manifests
