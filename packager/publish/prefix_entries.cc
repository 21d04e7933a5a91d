#include "packager/publish/prefix_entries.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/prefix_hash.h"
#include "manifests/staged_file.h"

namespace kvcast::packager {
namespace {

using manifests::Digest;
using manifests::folder_of;
using manifests::Result;
using manifests::StagedFile;
using manifests::Status;

// Descriptors held at a time.
constexpr size_t kBatchEntries = 256;

struct StagedEntry {
  std::string path;
  StagedFile file;
};

bool is_there(const std::string& path, const std::string& text) {
  const auto bytes = manifests::read_file(path, text.size());
  return bytes.ok() && std::ranges::equal(*bytes, std::as_bytes(std::span(text)));
}

Result<StagedEntry> stage(ObjectStore& store, std::string path, const std::string& text) {
  Result<StagedFile> file = store.stage();
  if (!file.ok()) return file.error();
  if (Status written = file->write(0, std::as_bytes(std::span(text))); !written.ok()) {
    return written.error();
  }
  file->start_writeback();
  return StagedEntry{std::move(path), std::move(*file)};
}

Status commit(std::vector<StagedEntry>& batch) {
  for (const StagedEntry& entry : batch) {
    if (Status synced = entry.file.sync(); !synced.ok()) return synced;
  }
  for (StagedEntry& entry : batch) {
    if (Status renamed = entry.file.rename_to(entry.path); !renamed.ok()) return renamed;
  }
  batch.clear();
  return {};
}

}  // namespace

Result<PrefixEntryCount> publish_prefix_entries(
    const std::string& root, const std::string& tenant, const manifests::Manifest& manifest,
    std::span<const Digest> hashes, ObjectStore& store,
    const std::function<void(uint64_t done)>& on_entry) {
  PrefixEntryCount count;
  std::vector<StagedEntry> batch;
  for (size_t block = 0; block < hashes.size(); ++block) {
    const uint64_t tokens = manifests::kPrefixBlockTokens * (block + 1);
    const auto chunk = static_cast<uint32_t>((tokens - 1) / manifest.chunk_tokens);
    const std::string text = manifests::write_prefix_entry({manifest.id, tokens, chunk});
    std::string path =
        root + "/" + manifests::prefix_path(tenant, manifest.model.weights, hashes[block]);
    if (Status made = store.folders().make(folder_of(path)); !made.ok()) return made.error();
    if (is_there(path, text)) {
      ++count.reused;
      continue;
    }
    auto staged = stage(store, std::move(path), text);
    if (!staged.ok()) return staged.error();
    batch.push_back(std::move(*staged));
    ++count.written;
    if (batch.size() < kBatchEntries) continue;
    if (Status committed = commit(batch); !committed.ok()) return committed.error();
    on_entry(block + 1);
  }
  if (Status committed = commit(batch); !committed.ok()) return committed.error();
  on_entry(hashes.size());
  if (Status synced = store.folders().sync(); !synced.ok()) return synced.error();
  return count;
}

}  // namespace kvcast::packager
