#include "origin/ingest/ingest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <set>
#include <system_error>
#include <utility>

#include "manifests/folder_lock.h"
#include "manifests/layout.h"
#include "manifests/named_objects.h"
#include "manifests/prefix_hash.h"
#include "origin/gc/tenant_manifests.h"
#include "origin/ingest/upload.h"

namespace kvcast::origin {
namespace {

using manifests::FolderLock;

constexpr size_t kListedObjects = 16;

std::string incoming_folder(const StoredName& name) {
  return manifests::tenant_root(name.tenant) + kIncomingFolder;
}

std::string incoming_name(const StoredName& name, uint64_t total) {
  return name.digest.hex() + "-" + std::to_string(total);
}

std::string folder_below(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string tenant_folder(const StoredName& name) {
  const std::string root = manifests::tenant_root(name.tenant);
  return root.substr(0, root.size() - 1);
}

std::optional<uint64_t> size_of(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  return static_cast<uint64_t>(info.st_size);
}

// As readers are told it; empty if nothing lies there.
std::string current_tag(const std::string& full, const std::string& path) {
  struct stat info {};
  if (::stat(full.c_str(), &info) != 0) return "";
  FileInfo facts;
  facts.bytes = static_cast<uint64_t>(info.st_size);
  facts.mtime_ns = int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
  facts.inode = info.st_ino;
  return entity_tag(path, facts);
}

IngestAnswer of_errno(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return {507, "the origin's disk is full; nothing that was complete is lost", {}};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return {503, "the origin is out of descriptors or memory; try again", {}};
    default:
      return {500, "the origin cannot write: " + std::generic_category().message(error), {}};
  }
}

}  // namespace

Ingest::Ingest(const IngestParams& params)
    : folders_(params.root),
      quotas_(params.root, params.quotas,
              [](const std::string& path) {
                return path.find(kIncomingFolder) != std::string::npos && is_being_written(path);
              }),
      max_uploads_(params.max_uploads) {}

Ingest::~Ingest() = default;

Ingest::Begun Ingest::begin(const UploadRoute& route, const Request& request) {
  if (route.range && route.range->is_question()) {
    const std::string folder = folders_.full(incoming_folder(route.name));
    return IngestAnswer{
        202, "", arrived_bytes(folder + "/" + incoming_name(route.name, route.range->total))};
  }
  const uint64_t total = route.range ? route.range->total : request.body_bytes;
  auto upload = std::make_unique<Upload>(route.name, total, quotas_, uploads_, max_uploads_);
  if (!upload->slot.is_held()) return IngestAnswer{503, "too many uploads at once", {}};
  IngestAnswer answer = begin_file(route, total, *upload);
  if (answer.status != 0) return answer;
  return upload;
}

IngestAnswer Ingest::begin_file(const UploadRoute& route, uint64_t total, Upload& upload) {
  const StoredName& name = route.name;
  const bool goes_on = route.range && route.range->first > 0;
  const bool may_pause = name.kind == FileKind::kObject;
  const auto start = goes_on     ? UploadFile::Start::kGoOn
                     : may_pause ? UploadFile::Start::kNew
                                 : UploadFile::Start::kNameless;
  const std::string folder = incoming_folder(name), file = incoming_name(name, total);
  const uint64_t kept = may_pause ? arrived_bytes(folders_.full(folder) + "/" + file) : 0;
  UploadFile::Opened opened = UploadFile::open(folders_, folder, file, start);
  if (opened.error == EBUSY) return {409, "another upload of this object is under way", {}};
  if (opened.error == ENOENT && goes_on) return {409, "nothing has arrived of this object", 0};
  if (opened.error != 0) return of_errno(opened.error);
  upload.file.emplace(std::move(*opened.file));
  // What had arrived is part of what is reserved now, or is gone.
  if (kept > 0) quotas_.add(name.tenant, -static_cast<int64_t>(kept), -1);
  IngestAnswer answer;
  if (auto refusal = upload.room.reserve(total, size_of(folders_.full(name.path())))) {
    answer = {507, std::move(*refusal), {}};
  } else if (goes_on && upload.file->bytes() != route.range->first) {
    answer = {409, "the piece does not follow what has arrived", upload.file->bytes()};
  } else if (const int error = upload.file->make_room(total); error != 0) {
    answer = of_errno(error);
  }
  if (answer.status != 0) keep_arrived(upload);
  return answer;
}

void Ingest::keep_arrived(Upload& upload) {
  upload.file->keep();
  if (!upload.file->is_kept()) return;
  quotas_.add(upload.name.tenant, static_cast<int64_t>(upload.file->bytes()), 1);
}

std::optional<IngestAnswer> Ingest::write(Upload& upload, std::span<const std::byte> more) {
  if (const int error = upload.file->write(more); error != 0) return of_errno(error);
  return {};
}

void Ingest::interrupt(std::unique_ptr<Upload> upload) {
  keep_arrived(*upload);
}

IngestAnswer Ingest::finish(std::unique_ptr<Upload> upload, const Request& request) {
  if (upload->file->bytes() < upload->total_bytes) {
    IngestAnswer answer = finish_piece(*upload);
    if (answer.status == 202) interrupt(std::move(upload));
    return answer;
  }
  upload->file->drop();
  IngestAnswer answer = check_content(*upload);
  if (answer.status == 0) answer = publish(*upload, request);
  return answer;
}

IngestAnswer Ingest::finish_piece(Upload& upload) {
  // What is acknowledged must be there after a power cut, or the digest at the end would not fit.
  if (const int error = upload.file->sync(); error != 0) return of_errno(error);
  return {202, "", upload.file->bytes()};
}

IngestAnswer Ingest::check_content(Upload& upload) {
  const StoredName& name = upload.name;
  if (name.kind == FileKind::kObject) {
    const manifests::Digest digest = upload.file->digest();
    if (digest == name.digest) return {};
    return {422, "the name is not the SHA-256 of the bytes, which is " + digest.hex(), {}};
  }
  const std::optional<std::string> text = upload.file->content();
  if (!text) return of_errno(EIO);
  if (name.kind == FileKind::kManifest) {
    const auto manifest = manifests::read_manifest(*text, name.name + ".json");
    if (!manifest.ok()) return {422, manifest.error().message, {}};
    if (manifest->id != name.name) return {422, "its id is " + manifest->id, {}};
    upload.named_objects = manifests::objects_of(*manifest);
    return {};
  }
  const auto entry = manifests::read_prefix_entry(*text, name.digest.hex());
  if (!entry.ok()) return {422, entry.error().message, {}};
  upload.named_presentation = entry->presentation;
  return {};
}

// Everything that a manifest or entry names must be there, and stay so: under the tenant's lock.
IngestAnswer Ingest::check_named(const Upload& upload) {
  const std::string& tenant = upload.name.tenant;
  if (upload.name.kind == FileKind::kPrefixEntry) {
    const std::string manifest = manifests::manifest_path(tenant, upload.named_presentation);
    if (size_of(folders_.full(manifest))) return {};
    return {409, "put the manifest of " + upload.named_presentation + " first: it is not here", {}};
  }
  std::set<std::string> missing, folders;
  for (const manifests::ObjectRef& object : upload.named_objects) {
    const std::string path = manifests::object_path(tenant, object.digest);
    if (size_of(folders_.full(path)) == object.bytes) {
      folders.insert(folder_below(path));
    } else {
      missing.insert(object.digest.hex());
    }
  }
  if (!missing.empty()) {
    std::string text = "put these objects first, which are not here or not of the size stated (" +
                       std::to_string(missing.size()) + "):";
    for (const std::string& digest : missing) {
      if (text.size() > kListedObjects * (digest.size() + 1)) break;
      text += "\n" + digest;
    }
    return {409, std::move(text), {}};
  }
  for (const std::string& folder : folders) {
    if (const int error = folders_.sync(folder); error != 0) return of_errno(error);
  }
  return {};
}

IngestAnswer Ingest::publish(Upload& upload, const Request& request) {
  const StoredName& name = upload.name;
  const std::string path = name.path(), folder = folder_below(path), full = folders_.full(path);
  if (const int error = upload.file->sync(); error != 0) return of_errno(error);
  if (const int error = folders_.make(folder); error != 0) return of_errno(error);
  const auto lock = FolderLock::take(folders_.full(tenant_folder(name)), FolderLock::Mode::kShared);
  if (!lock.ok()) return {500, "the tenant's folder is gone", {}};
  if (name.kind != FileKind::kObject) {
    IngestAnswer answer = check_named(upload);
    if (answer.status != 0) return answer;
  }
  if (change_precondition_status(request, current_tag(full, path)) != 0) {
    return {412, "what lies there is not what the condition says", {}};
  }
  if (const int error = upload.file->publish(full); error != 0) return of_errno(error);
  upload.room.fill();
  if (const int error = folders_.sync(folder); error != 0) return of_errno(error);
  return {201, "", {}};
}

IngestAnswer Ingest::remove(const StoredName& name, const Request& request) {
  // An object may go only if nothing names it, and nothing may come to name it meanwhile.
  const auto mode =
      name.kind == FileKind::kObject ? FolderLock::Mode::kExclusive : FolderLock::Mode::kShared;
  const auto lock = FolderLock::take(folders_.full(tenant_folder(name)), mode);
  if (!lock.ok()) return {204, "", {}};  // no folder, nothing to remove
  return remove_locked(name, request);
}

IngestAnswer Ingest::remove_locked(const StoredName& name, const Request& request) {
  const std::string path = name.path(), full = folders_.full(path);
  if (change_precondition_status(request, current_tag(full, path)) != 0) {
    return {412, "what lies there is not what the condition says", {}};
  }
  const std::optional<uint64_t> lying = size_of(full);
  if (!lying) return {204, "", {}};
  if (name.kind == FileKind::kObject) {
    TenantManifests named(folders_.full(tenant_folder(name)));
    if (const manifests::Status read = named.refresh(); !read.ok()) {
      return {409, "whether a manifest names it cannot be told: one cannot be read", {}};
    }
    if (const StoredManifest* const by = named.who_names(name.digest)) {
      return {409, "manifest " + by->id + " names it", {}};
    }
  }
  if (::unlink(full.c_str()) != 0 && errno != ENOENT) return of_errno(errno);
  quotas_.add(name.tenant, -static_cast<int64_t>(*lying), -1);
  if (const int error = folders_.sync(folder_below(path)); error != 0) return of_errno(error);
  return {204, "", {}};
}

}  // namespace kvcast::origin
