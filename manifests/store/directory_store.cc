#include "manifests/directory_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "manifests/file.h"
#include "manifests/file/descriptor.h"
#include "manifests/folder_lock.h"
#include "manifests/store/folders.h"

namespace kvcast::manifests {
namespace {

constexpr size_t kPieceBytes = 256 << 10;
// Younger ones are left as they are: a grace period is longer than twice this.
constexpr int64_t kYoungSeconds = 3600;

bool is_missing(int error) {
  return error == ENOENT || error == ENOTDIR;
}

StoredFacts facts_of(const struct stat& info) {
  return {static_cast<uint64_t>(info.st_size),
          std::to_string(info.st_ino) + "-" + std::to_string(info.st_size) + "-" +
              std::to_string(info.st_mtim.tv_sec) + "." + std::to_string(info.st_mtim.tv_nsec)};
}

// An object found here may come to be named by a publish under way, so whoever collects garbage
// must take it for new (manifests/folder_lock.h). Where we may not write, nobody of ours publishes.
void make_young(const std::string& root, const std::string& path, struct stat& info) {
  const bool is_object = path.ends_with(".kvo");
  if (!is_object || std::time(nullptr) - info.st_mtim.tv_sec < kYoungSeconds) return;
  const size_t tenant_end = path.find('/', path.find('/') + 1);
  const auto lock =
      FolderLock::take(root + "/" + path.substr(0, tenant_end), FolderLock::Mode::kShared);
  const std::string full = root + "/" + path;
  if (!lock.ok() || ::utimensat(AT_FDCWD, full.c_str(), nullptr, 0) != 0) return;
  if (::stat(full.c_str(), &info) != 0) info.st_mode = 0;
}

}  // namespace

DirectoryStore::DirectoryStore(std::string root)
    : root_(std::move(root)), folders_(std::make_unique<Folders>()) {}

DirectoryStore::~DirectoryStore() = default;

Result<StagedFile> DirectoryStore::stage(const std::string& folder) {
  if (Status made = folders_->make(full(folder)); !made.ok()) return made.error();
  return StagedFile::create(full(folder));
}

void DirectoryStore::remove_abandoned(const std::string& folder) {
  manifests::remove_abandoned(full(folder));
}

Status DirectoryStore::put(std::vector<Upload> uploads) {
  std::vector<Upload> missing;
  for (Upload& upload : uploads) {
    struct stat info {};
    if (upload.only_if_absent && ::stat(full(upload.path).c_str(), &info) == 0) {
      folders_->changed(folder_of(full(upload.path)));
      continue;
    }
    Status made = folders_->make(folder_of(full(upload.path)));
    if (!made.ok()) return made;
    upload.file.start_writeback();
    missing.push_back(std::move(upload));
  }
  for (const Upload& upload : missing) {
    if (Status synced = upload.file.sync(); !synced.ok()) return synced;
  }
  for (Upload& upload : missing) {
    if (Status renamed = upload.file.rename_to(full(upload.path)); !renamed.ok()) return renamed;
  }
  return {};
}

Result<std::optional<StoredFacts>> DirectoryStore::look(const std::string& path) {
  struct stat info {};
  if (::stat(full(path).c_str(), &info) != 0) {
    if (is_missing(errno)) return std::optional<StoredFacts>();
    return io_error(full(path), "look for a file", errno);
  }
  if (S_ISREG(info.st_mode)) make_young(root_, path, info);
  if (!S_ISREG(info.st_mode)) return std::optional<StoredFacts>();
  // Another run may have made the name and not yet synced it.
  folders_->changed(folder_of(full(path)));
  return std::optional(facts_of(info));
}

Result<ReadOutcome> DirectoryStore::read(const std::string& path, const std::string& known_tag,
                                         const Sink& sink) {
  const Descriptor file(::open(full(path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) {
    if (is_missing(errno)) return ReadOutcome{};
    return io_error(full(path), "open", errno);
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return io_error(full(path), "read", errno);
  if (!S_ISREG(info.st_mode)) return ReadOutcome{};
  folders_->changed(folder_of(full(path)));
  StoredFacts facts = facts_of(info);
  if (facts.tag == known_tag) return ReadOutcome{ReadOutcome::Kind::kUnchanged, std::move(facts)};
  std::vector<std::byte> piece(std::min<uint64_t>(facts.bytes + 1, kPieceBytes));
  while (true) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error(full(path), "read", errno);
    if (got == 0) break;
    Status taken = sink(std::span(piece).first(static_cast<size_t>(got)));
    if (!taken.ok()) return taken.error();
  }
  return ReadOutcome{ReadOutcome::Kind::kRead, std::move(facts)};
}

Result<bool> DirectoryStore::remove(const std::string& path) {
  if (::unlink(full(path).c_str()) == 0) {
    folders_->changed(folder_of(full(path)));
    return true;
  }
  if (is_missing(errno)) return false;
  return io_error(full(path), "remove", errno);
}

Status DirectoryStore::list(const std::string& prefix, const Visit& visit) {
  namespace fs = std::filesystem;
  const std::string top = prefix.empty() ? root_ : full(prefix.substr(0, prefix.size() - 1));
  std::error_code error;
  fs::recursive_directory_iterator at(top, error);
  if (error && is_missing(error.value())) return {};
  for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->path().filename().native().starts_with('.')) {
      at.disable_recursion_pending();
      continue;
    }
    struct stat info {};
    if (::stat(at->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    const Status visited = visit({at->path().native().substr(root_.size() + 1),
                                  static_cast<uint64_t>(info.st_size), info.st_mtim.tv_sec});
    if (!visited.ok()) return visited;
  }
  if (error) return io_error(top, "list", error.value());
  return {};
}

Status DirectoryStore::sync() {
  return folders_->sync();
}

}  // namespace kvcast::manifests
