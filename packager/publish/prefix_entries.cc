#include "packager/publish/prefix_entries.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "manifests/layout.h"
#include "manifests/prefix_hash.h"

namespace kvcast::packager {
namespace {

using manifests::Digest;
using manifests::Result;
using manifests::Status;
using manifests::Upload;

// Descriptors held at a time.
constexpr size_t kBatchEntries = 256;

struct Entry {
  std::string path, text;
  bool is_there = false;
};

Status look_for(std::vector<Entry>& entries, manifests::Store& store) {
  return manifests::for_each_at_once(entries.size(), store.parallelism(), [&](size_t i) -> Status {
    // One that cannot be read is written anew: if that fails too, it will be said.
    const auto text = manifests::read_text(store, entries[i].path, entries[i].text.size());
    entries[i].is_there = text.ok() && *text && **text == entries[i].text;
    return {};
  });
}

Status write_missing(const std::vector<Entry>& entries, ObjectStore& store) {
  std::vector<Upload> uploads;
  for (const Entry& entry : entries) {
    if (entry.is_there) continue;
    auto file = store.stage();
    if (!file.ok()) return file.error();
    Status written = file->write(0, std::as_bytes(std::span(entry.text)));
    if (!written.ok()) return written;
    file->start_writeback();
    uploads.push_back({entry.path, std::move(*file), entry.text.size(), false});
  }
  return store.store().put(std::move(uploads));
}

}  // namespace

Result<PrefixEntryCount> publish_prefix_entries(
    const std::string& tenant, const manifests::Manifest& manifest, std::span<const Digest> hashes,
    ObjectStore& store, const std::function<void(uint64_t done)>& on_entry) {
  PrefixEntryCount count;
  for (size_t begin = 0; begin < hashes.size(); begin += kBatchEntries) {
    std::vector<Entry> batch;
    const size_t end = std::min(hashes.size(), begin + kBatchEntries);
    for (size_t block = begin; block < end; ++block) {
      const uint64_t tokens = manifests::kPrefixBlockTokens * (block + 1);
      const auto chunk = static_cast<uint32_t>((tokens - 1) / manifest.chunk_tokens);
      batch.push_back({manifests::prefix_path(tenant, manifest.model.weights, hashes[block]),
                       manifests::write_prefix_entry({manifest.id, tokens, chunk})});
    }
    if (Status looked = look_for(batch, store.store()); !looked.ok()) return looked.error();
    if (Status written = write_missing(batch, store); !written.ok()) return written.error();
    const auto there = static_cast<uint64_t>(std::ranges::count(batch, true, &Entry::is_there));
    count.reused += there;
    count.written += batch.size() - there;
    on_entry(end);
  }
  if (Status synced = store.store().sync(); !synced.ok()) return synced.error();
  return count;
}

}  // namespace kvcast::packager
