#include "packager/check/store_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/prefix_hash.h"
#include "packager/check/findings.h"

namespace kvcast::packager {
namespace {

namespace fs = std::filesystem;

using manifests::Error;
using manifests::ErrorKind;
using manifests::Manifest;
using manifests::Status;

constexpr uint64_t kMaxPrefixEntryBytes = 4096;

// Regular files below `folder`, sorted; temporaries of runs under way are left out.
manifests::Result<std::vector<fs::path>> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  if (!fs::exists(folder, error)) return files;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file() && !it->path().filename().string().starts_with('.')) {
      files.push_back(it->path());
    }
  }
  if (error) {
    return Error{ErrorKind::kIo,
                 fmt::format("{}: cannot list: {}", folder.string(), error.message())};
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string_view as_text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void collect_references(const Manifest& manifest, std::set<manifests::Digest>& digests) {
  digests.insert(manifest.profile.digest);
  if (manifest.text && manifest.text->object) digests.insert(manifest.text->object->digest);
  for (const manifests::ChunkEntry& chunk : manifest.chunks) {
    for (const manifests::PlaneRef& plane : chunk.planes) digests.insert(plane.digest);
    if (chunk.exact) digests.insert(chunk.exact->digest);
  }
}

void check_prefix_entry(const std::string& file, const std::map<std::string, Manifest>& manifests,
                        VerifyReport& report) {
  ++report.prefix_entries;
  const auto bytes = manifests::read_file(file, kMaxPrefixEntryBytes);
  if (!bytes.ok()) return add_defect(report, file, bytes.error().message);
  const auto entry = manifests::read_prefix_entry(as_text(*bytes), file);
  if (!entry.ok()) return add_defect(report, file, entry.error().message);
  const auto manifest = manifests.find(entry->presentation);
  if (manifest == manifests.end()) {
    return add_defect(
        report, file,
        fmt::format("names presentation {}, whose manifest is not there", entry->presentation));
  }
  const auto& chunks = manifest->second.chunks;
  if (entry->chunk >= chunks.size() || entry->tokens <= chunks[entry->chunk].token_begin ||
      entry->tokens > chunks[entry->chunk].token_end) {
    add_defect(report, file,
               fmt::format("says that chunk {} of presentation {} ends its {} tokens; it does not",
                           entry->chunk, entry->presentation, entry->tokens));
  }
}

}  // namespace

Status check_tenant(const std::string& tenant_root, const VerifyParams& params,
                    VerifyReport& report) {
  FolderObjectReader objects(tenant_root);
  std::map<std::string, Manifest> readable;
  std::set<manifests::Digest> referenced;
  const auto manifest_files = files_below(fs::path(tenant_root) / "m");
  if (!manifest_files.ok()) return manifest_files.error();
  for (const fs::path& file : *manifest_files) {
    const auto bytes = manifests::read_file(file.string(), manifests::kMaxManifestBytes);
    if (!bytes.ok()) {
      add_defect(report, file.string(), bytes.error().message);
      continue;
    }
    verify_manifest(as_text(*bytes), file.string(), objects, params, report);
    auto manifest = manifests::read_manifest(as_text(*bytes), file.string());
    if (!manifest.ok()) continue;
    if (file.filename() != manifest->id + ".json") {
      add_defect(report, file.string(),
                 fmt::format("id is {}, expected the file's name", manifest->id));
    }
    collect_references(*manifest, referenced);
    const std::string id = file.stem().string();
    readable.insert_or_assign(id, std::move(*manifest));
  }
  const auto entry_files = files_below(fs::path(tenant_root) / "k");
  if (!entry_files.ok()) return entry_files.error();
  for (const fs::path& file : *entry_files) check_prefix_entry(file.string(), readable, report);
  const auto object_files = files_below(fs::path(tenant_root) / "o");
  if (!object_files.ok()) return object_files.error();
  for (const fs::path& file : *object_files) {
    const auto digest = manifests::Digest::from_hex(file.stem().string());
    if (!digest || !referenced.contains(*digest)) report.unreferenced.push_back(file.string());
  }
  return {};
}

}  // namespace kvcast::packager
