#include "origin/gc/tenant_collector.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "manifests/file.h"
#include "manifests/folder_lock.h"
#include "manifests/staged_file.h"
#include "origin/ingest/upload_file.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;
using manifests::FolderLock;
using manifests::Result;
using manifests::Status;

// Removed under one hold of the tenant's lock, so that publishers never wait for long.
constexpr size_t kBatch = 256;
constexpr std::string_view kObjectSuffix = ".kvo";
constexpr uint64_t kMaxEntryBytes = 4096;  // manifests/prefix_format.md

std::optional<manifests::Digest> digest_of(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  if (!name.ends_with(kObjectSuffix)) return {};
  return manifests::Digest::from_hex(name.substr(0, name.size() - kObjectSuffix.size()));
}

template <typename Visit>
void for_each_file(const std::string& folder, Visit visit) {
  std::error_code error;
  for (fs::directory_iterator file(folder, error), end; !error && file != end;
       file.increment(error)) {
    visit(file->path().string());
  }
}

}  // namespace

TenantCollector::TenantCollector(std::string folder, const GcParams& params, GcReport& report)
    : folder_(std::move(folder)), params_(params), report_(report), manifests_(folder_) {}

void TenantCollector::run() {
  ++report_.tenants;
  Status done = manifests_.refresh();
  report_.manifests += manifests_.all().size();
  if (done.ok()) done = collect_presentations();
  if (done.ok()) done = collect_objects();
  if (!done.ok()) {
    report_.problems.push_back(done.error().message + "; objects of this tenant are left alone");
  }
  collect_uploads();
}

bool TenantCollector::is_dead(const std::string& id) const {
  const StoredManifest* const manifest = manifests_.find(id);
  return manifest == nullptr || manifest->has_expired(params_.now_s);
}

bool TenantCollector::is_named(const manifests::Digest& object) {
  if (named_version_ != manifests_.version()) {
    named_.clear();
    for (const auto& [id, manifest] : manifests_.all()) {
      if (params_.dry_run && manifest.has_expired(params_.now_s)) continue;
      named_.insert(named_.end(), manifest.objects.begin(), manifest.objects.end());
    }
    std::ranges::sort(named_);
    named_version_ = manifests_.version();
  }
  return std::ranges::binary_search(named_, object);
}

bool TenantCollector::is_old(const std::string& path) const {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         info.st_mtim.tv_sec <= params_.now_s - params_.grace_s;
}

// Whether it is gone.
bool TenantCollector::remove(const std::string& path, uint64_t& count) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return errno == ENOENT;
  if (!params_.dry_run && ::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return true;
    report_.problems.push_back(manifests::io_error(path, "remove", errno).message);
    return false;
  }
  ++count;
  report_.removed_bytes += static_cast<uint64_t>(info.st_size);
  return true;
}

Status TenantCollector::collect_presentations() {
  auto strays = find_stray_entries(folder_, [&](const std::string& id) { return is_dead(id); });
  find_replacements(strays);
  // Longest first: a crash leaves a prefix, as lookups want it.
  std::ranges::sort(strays, std::greater(), [](const StrayEntry& one) { return one.entry.tokens; });
  const auto lock = FolderLock::take(folder_, FolderLock::Mode::kExclusive);
  if (!lock.ok()) return lock.error();
  if (Status read = manifests_.refresh(); !read.ok()) return read;
  std::set<std::string> folders;
  for (const StrayEntry& stray : strays) {
    if (Status settled = settle(stray); !settled.ok()) return settled;
    folders.insert(manifests::folder_of(stray.path));
  }
  for (const std::string& folder : folders) {
    if (Status synced = manifests::sync_folder(folder); !synced.ok()) return synced;
  }
  return remove_expired();
}

void TenantCollector::find_replacements(std::vector<StrayEntry>& strays) {
  if (strays.empty()) return;
  for (const auto& [id, stored] : manifests_.all()) {
    if (is_dead(id)) continue;
    const bool may_help = std::ranges::any_of(strays, [&](const StrayEntry& stray) {
      return stray.model == stored.model && !stray.replacement;
    });
    if (!may_help) continue;
    const std::string path = manifests_.path_of(id);
    const auto bytes = manifests::read_file(path, manifests::kMaxManifestBytes);
    if (!bytes.ok()) continue;
    const auto manifest = manifests::read_manifest(
        {reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
    if (!manifest.ok()) continue;
    const std::vector<uint32_t> tokens = tokens_of(*manifest, folder_);
    for (StrayEntry& stray : strays) {
      if (stray.model == stored.model && !stray.replacement) {
        offer_replacement(*manifest, tokens, stray);
      }
    }
  }
}

// The entry may have been replaced, and the manifest it names put in place, since it was found: a
// packager that takes no lock puts the manifest first.
Status TenantCollector::settle(const StrayEntry& stray) {
  const auto bytes = manifests::read_file(stray.path, kMaxEntryBytes);
  if (!bytes.ok()) return {};
  const auto now = manifests::read_prefix_entry(
      {reinterpret_cast<const char*>(bytes->data()), bytes->size()}, stray.path);
  if (!now.ok() || now->presentation != stray.entry.presentation) return {};
  const bool is_known = manifests_.find(now->presentation) != nullptr;
  if (!is_dead(now->presentation)) return {};
  if (!is_known && ::access(manifests_.path_of(now->presentation).c_str(), F_OK) == 0) return {};
  if (!stray.replacement || is_dead(stray.replacement->presentation)) {
    remove(stray.path, report_.removed_entries);
    return {};
  }
  ++report_.renamed_entries;
  if (params_.dry_run) return {};
  const std::string text = manifests::write_prefix_entry(*stray.replacement);
  return manifests::write_file_atomically(stray.path, std::as_bytes(std::span(text)));
}

Status TenantCollector::remove_expired() {
  bool any = false;
  for (const auto& [id, manifest] : manifests_.all()) {
    if (!manifest.has_expired(params_.now_s)) continue;
    any = remove(manifests_.path_of(id), report_.expired_manifests) || any;
  }
  if (!any || params_.dry_run) return {};
  if (Status synced = manifests::sync_folder(folder_ + "/m"); !synced.ok()) return synced;
  return manifests_.refresh();
}

Status TenantCollector::collect_objects() {
  std::vector<std::string> candidates;
  for_each_file(folder_ + "/o", [&](const std::string& below) {
    for_each_file(below, [&](const std::string& path) {
      const auto digest = digest_of(path);
      if (!digest) return;
      ++report_.objects;
      if (!is_named(*digest) && is_old(path)) candidates.push_back(path);
    });
  });
  for (size_t done = 0; done < candidates.size(); done += kBatch) {
    const auto batch =
        std::span(candidates).subspan(done, std::min(kBatch, candidates.size() - done));
    if (Status removed = remove_objects(batch); !removed.ok()) return removed;
  }
  return {};
}

Status TenantCollector::remove_objects(std::span<const std::string> paths) {
  const auto lock = FolderLock::take(folder_, FolderLock::Mode::kExclusive);
  if (!lock.ok()) return lock.error();
  if (Status read = manifests_.refresh(); !read.ok()) return read;
  for (const std::string& path : paths) {
    if (!is_named(*digest_of(path)) && is_old(path)) remove(path, report_.removed_objects);
  }
  return {};
}

void TenantCollector::collect_uploads() {
  for_each_file(folder_ + "/" + kIncomingFolder, [&](const std::string& path) {
    if (is_old(path) && !is_being_written(path)) remove(path, report_.removed_uploads);
  });
  if (params_.dry_run) return;
  manifests::remove_abandoned(folder_ + "/o");
  manifests::remove_abandoned(folder_ + "/m");
  for_each_file(folder_ + "/k",
                [](const std::string& model) { manifests::remove_abandoned(model); });
}

}  // namespace kvcast::origin
