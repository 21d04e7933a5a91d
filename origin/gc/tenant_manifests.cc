#include "origin/gc/tenant_manifests.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <set>

#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/named_objects.h"

namespace kvcast::origin {
namespace {

using manifests::Status;

constexpr std::string_view kSuffix = ".json";

struct Close {
  void operator()(DIR* listing) const { ::closedir(listing); }
};

bool is_there(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 || errno != ENOENT;
}

}  // namespace

bool StoredManifest::names(const manifests::Digest& object) const {
  return std::ranges::binary_search(objects, object);
}

bool StoredManifest::has_expired(int64_t now_s) const {
  constexpr size_t kSecondsEnd = sizeof "2026-01-31T12:00:00" - 1;
  if (expires.size() < kSecondsEnd) return false;
  const std::time_t now = now_s;
  std::tm parts{};
  char text[kSecondsEnd + 1] = {};
  if (::gmtime_r(&now, &parts) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) != kSecondsEnd) {
    return false;
  }
  // Fixed widths: later is greater. A fraction of the second gets the benefit of it.
  return expires.compare(0, kSecondsEnd, text) < 0;
}

Status TenantManifests::refresh() {
  const std::string folder = folder_ + "/m";
  const std::unique_ptr<DIR, Close> listing(::opendir(folder.c_str()));
  if (!listing) {
    manifests_.clear();
    versions_.clear();
    ++version_;
    if (errno == ENOENT) return {};
    return manifests::io_error(folder, "list the manifests", errno);
  }
  std::set<std::string> seen;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string_view name(entry->d_name);
    if (!name.ends_with(kSuffix)) continue;
    const std::string id(name.substr(0, name.size() - kSuffix.size()));
    if (!manifests::is_valid_name(id)) continue;
    if (Status read_one = read(id); !read_one.ok()) return read_one;
    seen.insert(id);
  }
  version_ += std::erase_if(manifests_, [&](const auto& one) { return !seen.contains(one.first); });
  std::erase_if(versions_, [&](const auto& one) { return !seen.contains(one.first); });
  return {};
}

Status TenantManifests::read(const std::string& id) {
  const std::string path = path_of(id);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    manifests_.erase(id);
    return errno == ENOENT ? Status() : Status(manifests::io_error(path, "look at", errno));
  }
  const Version version{info.st_ino, static_cast<uint64_t>(info.st_size),
                        int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
  if (const auto known = versions_.find(id); known != versions_.end() && known->second == version) {
    return {};
  }
  const auto bytes = manifests::read_file(path, manifests::kMaxManifestBytes);
  if (!bytes.ok()) return is_there(path) ? Status(bytes.error()) : Status();
  const auto manifest =
      manifests::read_manifest({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
  if (!manifest.ok()) return manifest.error();
  StoredManifest stored{
      id, manifests::model_component(manifest->model.weights), manifest->expires, {}};
  for (const manifests::ObjectRef& object : manifests::objects_of(*manifest)) {
    stored.objects.push_back(object.digest);
  }
  ++version_;
  std::ranges::sort(stored.objects);
  const auto repeated = std::ranges::unique(stored.objects);
  stored.objects.erase(repeated.begin(), repeated.end());
  manifests_[id] = std::move(stored);
  versions_[id] = version;
  return {};
}

const StoredManifest* TenantManifests::find(const std::string& id) const {
  const auto found = manifests_.find(id);
  return found == manifests_.end() ? nullptr : &found->second;
}

const StoredManifest* TenantManifests::who_names(const manifests::Digest& object) const {
  for (const auto& [id, manifest] : manifests_) {
    if (manifest.names(object)) return &manifest;
  }
  return nullptr;
}

}  // namespace kvcast::origin
