#include "packager/store/object_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <utility>
#include <vector>

#include "manifests/file.h"
#include "manifests/layout.h"

namespace kvcast::packager {
namespace {

using manifests::folder_of;
using manifests::ObjectRef;
using manifests::Result;
using manifests::StagedFile;
using manifests::Status;

constexpr size_t kPieceBytes = 1 << 20;

// The digest of a file that may be as large as an object: in pieces.
manifests::Digest digest_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  manifests::Sha256 hash;
  std::vector<char> piece(kPieceBytes);
  while (in.read(piece.data(), kPieceBytes), in.gcount() > 0) {
    hash.update(std::as_bytes(std::span(piece).first(static_cast<size_t>(in.gcount()))));
  }
  return hash.finish();
}

}  // namespace

ObjectStore::ObjectStore(std::string root, std::string tenant, bool verify_existing)
    : root_(std::move(root)), tenant_(std::move(tenant)), verify_existing_(verify_existing) {}

std::string ObjectStore::folder() const {
  return root_ + "/" + manifests::tenant_root(tenant_) + "o";
}

void ObjectStore::remove_abandoned() const {
  manifests::remove_abandoned(folder());
}

Result<StagedFile> ObjectStore::stage() {
  if (Status made = folders_.make(folder()); !made.ok()) return made.error();
  return StagedFile::create(folder());
}

Result<bool> ObjectStore::exists(const std::string& path, const ObjectRef& object) const {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return manifests::io_error(path, "look for an object", errno);
  }
  if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) != object.bytes) return false;
  return !verify_existing_ || digest_of_file(path) == object.digest;
}

Status ObjectStore::publish(std::vector<FinishedObject> objects) {
  const auto path_of = [&](const FinishedObject& finished) {
    return root_ + "/" + manifests::object_path(tenant_, finished.object.digest);
  };
  std::vector<FinishedObject> missing;
  for (FinishedObject& finished : objects) {
    const Result<bool> there = exists(path_of(finished), finished.object);
    if (!there.ok()) return there.error();
    // Also where it exists: another run may have made the name and not yet synced it.
    folders_.changed(folder_of(path_of(finished)));
    if (*there) {
      ++reused_;
      continue;
    }
    if (Status made = folders_.make(folder_of(path_of(finished))); !made.ok()) return made;
    finished.file.start_writeback();
    missing.push_back(std::move(finished));
  }
  for (const FinishedObject& finished : missing) {
    if (Status synced = finished.file.sync(); !synced.ok()) return synced;
  }
  for (FinishedObject& finished : missing) {
    if (Status renamed = finished.file.rename_to(path_of(finished)); !renamed.ok()) return renamed;
    ++written_;
  }
  return {};
}

Result<ObjectRef> ObjectStore::publish(std::span<const std::byte> bytes) {
  const ObjectRef object{manifests::sha256(bytes), bytes.size()};
  Result<StagedFile> file = stage();
  if (!file.ok()) return file.error();
  if (Status written = file->write(0, bytes); !written.ok()) return written.error();
  std::vector<FinishedObject> finished;
  finished.push_back({std::move(*file), object});
  if (Status published = publish(std::move(finished)); !published.ok()) return published.error();
  return object;
}

}  // namespace kvcast::packager
