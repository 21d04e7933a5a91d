#include "origin/lookup/longest_prefix.h"

#include <unistd.h>

#include <algorithm>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

using manifests::Digest;
using manifests::PrefixEntry;

constexpr uint64_t kMaxEntryBytes = 4096;  // manifests/prefix_format.md

std::optional<std::string> read_small(const Root& root, const std::string& path) {
  const OpenedFile file = root.open(path);
  if (file.error_status != 0 || file.info.bytes > kMaxEntryBytes) return {};
  std::string text(file.info.bytes, '\0');
  const ssize_t got = ::pread(file.descriptor.get(), text.data(), text.size(), 0);
  return got == static_cast<ssize_t>(text.size()) ? std::optional(text) : std::nullopt;
}

}  // namespace

std::optional<PrefixEntry> find_longest_prefix(
    size_t blocks, const std::function<std::optional<PrefixEntry>(size_t block)>& entry_of) {
  std::optional<PrefixEntry> longest;
  size_t stored = 0, absent = blocks;  // blocks [0, stored) are there, those from absent on are not
  for (size_t asked = blocks; stored < absent; asked = stored + (absent - stored + 1) / 2) {
    if (auto entry = entry_of(asked - 1)) {
      longest = std::move(entry);
      stored = asked;
    } else {
      absent = asked - 1;
    }
  }
  return longest;
}

std::optional<PrefixEntry> stored_entry(const Root& root, const LookupName& name,
                                        const Digest& hash, size_t block) {
  const auto text = read_small(root, manifests::prefix_path(name.tenant, name.model, hash));
  if (!text) return {};
  const auto entry = manifests::read_prefix_entry(*text, hash.hex());
  if (!entry.ok() || entry->tokens != (block + 1) * manifests::kPrefixBlockTokens) return {};
  const std::string manifest = manifests::manifest_path(name.tenant, entry->presentation);
  return root.open(manifest).error_status == 0 ? std::optional(*entry) : std::nullopt;
}

std::string answer_lookup(const Root& root, const LookupName& name,
                          std::span<const std::byte> hashes) {
  const auto longest = find_longest_prefix(hashes.size() / sizeof(Digest), [&](size_t block) {
    Digest hash;
    std::ranges::copy(hashes.subspan(block * sizeof(Digest), sizeof(Digest)), hash.bytes.begin());
    return stored_entry(root, name, hash, block);
  });
  return longest ? manifests::write_prefix_entry(*longest) : "{\"kvcast\":1,\"tokens\":0}\n";
}

}  // namespace kvcast::origin
