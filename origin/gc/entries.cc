#include "origin/gc/entries.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "manifests/file.h"
#include "manifests/layout.h"
#include "manifests/prefix_link.h"
#include "manifests/text.h"

namespace kvcast::origin {
namespace {

namespace fs = std::filesystem;
using manifests::kPrefixBlockTokens;

constexpr uint64_t kMaxEntryBytes = 4096;  // manifests/prefix_format.md
constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

std::optional<manifests::PrefixEntry> read_entry(const std::string& path) {
  const auto bytes = manifests::read_file(path, kMaxEntryBytes);
  if (!bytes.ok()) return {};
  const auto entry = manifests::read_prefix_entry(
      {reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
  return entry.ok() ? std::optional(*entry) : std::nullopt;
}

}  // namespace

std::vector<StrayEntry> find_stray_entries(
    const std::string& folder, const std::function<bool(const std::string& id)>& is_dead) {
  std::vector<StrayEntry> strays;
  std::error_code error;
  for (fs::directory_iterator model(folder + "/k", error), end; !error && model != end;
       model.increment(error)) {
    std::error_code ignored;
    for (fs::directory_iterator file(model->path(), ignored); !ignored && file != end;
         file.increment(ignored)) {
      const auto hash = manifests::Digest::from_hex(file->path().filename().string());
      if (!hash) continue;
      auto entry = read_entry(file->path().string());
      if (!entry || !is_dead(entry->presentation)) continue;
      strays.push_back(
          {file->path().string(), model->path().filename().string(), *hash, std::move(*entry), {}});
    }
  }
  return strays;
}

void offer_replacement(const manifests::Manifest& manifest, std::span<const uint32_t> tokens,
                       StrayEntry& stray) {
  const uint64_t held = stray.entry.tokens;
  const auto chunk = std::ranges::find_if(manifest.chunks, [&](const manifests::ChunkEntry& one) {
    return one.token_begin < held && held <= one.token_end;
  });
  if (chunk == manifest.chunks.end() || chunk->token_end > tokens.size()) return;
  const uint64_t stated = chunk->token_end / kPrefixBlockTokens * kPrefixBlockTokens;
  manifests::Digest hash = stray.hash;
  for (uint64_t at = held; at < stated; at += kPrefixBlockTokens) {
    hash = manifests::next_prefix_hash(hash, tokens.subspan(at, kPrefixBlockTokens));
  }
  if (stated < held || hash != chunk->prefix_hash) return;
  stray.replacement = {manifest.id, held, static_cast<uint32_t>(chunk - manifest.chunks.begin())};
}

std::vector<uint32_t> tokens_of(const manifests::Manifest& manifest, const std::string& folder) {
  if (!manifest.text) return {};
  if (!manifest.text->object) return manifest.text->tokens;
  const std::string path =
      folder + "/" + manifests::object_path_in_tenant(manifest.text->object->digest);
  const auto bytes = manifests::read_file(path, kMaxTextBytes);
  if (!bytes.ok()) return {};
  auto text = manifests::read_text_object(*bytes, path);
  return text.ok() ? std::move(text->tokens) : std::vector<uint32_t>();
}

}  // namespace kvcast::origin
