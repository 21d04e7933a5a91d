#include "packager/store/object_store.h"

#include <utility>
#include <vector>

#include "manifests/layout.h"

namespace kvcast::packager {
namespace {

using manifests::ObjectRef;
using manifests::Result;
using manifests::StagedFile;
using manifests::Status;

}  // namespace

ObjectStore::ObjectStore(manifests::Store& store, std::string tenant, bool verify_existing)
    : store_(store), tenant_(std::move(tenant)), verify_existing_(verify_existing) {}

std::string ObjectStore::folder() const {
  return manifests::tenant_root(tenant_) + "o";
}

void ObjectStore::remove_abandoned() {
  store_.remove_abandoned(folder());
}

Result<StagedFile> ObjectStore::stage() {
  return store_.stage(folder());
}

Result<ObjectStore::Found> ObjectStore::look_for(const std::string& path, const ObjectRef& object) {
  const auto found = store_.look(path);
  if (!found.ok()) return found.error();
  if (!*found) return Found::kNothing;
  if ((*found)->bytes != object.bytes) return Found::kAnother;
  if (!verify_existing_) return Found::kSame;
  manifests::Sha256 hash;
  const auto read = store_.read(path, "", [&](std::span<const std::byte> piece) {
    hash.update(piece);
    return Status();
  });
  if (!read.ok()) return read.error();
  return hash.finish() == object.digest ? Found::kSame : Found::kAnother;
}

Status ObjectStore::publish(std::vector<FinishedObject> objects) {
  const auto path_of = [&](size_t i) {
    return manifests::object_path(tenant_, objects[i].object.digest);
  };
  std::vector<Found> there(objects.size());
  Status looked =
      manifests::for_each_at_once(objects.size(), store_.parallelism(), [&](size_t i) -> Status {
        const Result<Found> found = look_for(path_of(i), objects[i].object);
        if (!found.ok()) return found.error();
        there[i] = *found;
        return {};
      });
  if (!looked.ok()) return looked;
  std::vector<manifests::Upload> missing;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (there[i] == Found::kSame) continue;
    missing.push_back({path_of(i), std::move(objects[i].file), objects[i].object.bytes,
                       there[i] == Found::kNothing});
  }
  const uint64_t count = missing.size();
  if (Status put = store_.put(std::move(missing)); !put.ok()) return put;
  written_ += count;
  reused_ += objects.size() - count;
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
