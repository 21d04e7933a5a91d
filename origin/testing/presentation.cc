#include "origin/testing/presentation.h"

#include <algorithm>

#include "manifests/layout.h"

namespace kvcast::origin::testing {
namespace {

constexpr uint32_t kChunkTokens = 32;

manifests::ObjectRef add_object(Presentation& to, const std::string& bytes) {
  const auto view = std::as_bytes(std::span(bytes));
  const manifests::ObjectRef object{manifests::sha256(view), bytes.size()};
  to.objects[manifests::object_path_in_tenant(object.digest)] = bytes;
  return object;
}

}  // namespace

std::map<std::string, std::string> Presentation::files() const {
  std::map<std::string, std::string> all = objects;
  all.insert(entries.begin(), entries.end());
  all[manifest_path()] = manifest_text();
  return all;
}

Presentation make_presentation(const std::string& id, std::vector<uint32_t> tokens,
                               const std::string& expires) {
  Presentation made;
  manifests::Manifest& manifest = made.manifest;
  manifest.id = id;
  manifest.created = "2026-01-31T12:00:00Z";
  manifest.expires = expires;
  manifest.model = {"Model", kModel, "", "", 1, 1, 8, 1, 8, "BF16", {}, {}};
  manifest.codec = manifests::codec_string(manifest.model);
  manifest.profile = add_object(made, "profile");
  manifest.tokens = tokens.size();
  manifest.chunk_tokens = kChunkTokens;
  manifest.levels = 1;
  manifest.raw_bytes = tokens.size() * 32;
  manifest.base_urls = {{"../", 1, 1}};
  made.hashes = manifests::prefix_hashes({"salt", kModel, "", {}}, tokens);
  for (uint64_t begin = 0; begin < tokens.size(); begin += kChunkTokens) {
    manifests::ChunkEntry chunk;
    chunk.token_begin = begin;
    chunk.token_end = std::min<uint64_t>(begin + kChunkTokens, tokens.size());
    const size_t blocks = chunk.token_end / manifests::kPrefixBlockTokens;
    if (blocks > 0) chunk.prefix_hash = made.hashes[blocks - 1];
    manifests::PlaneRef plane;
    static_cast<manifests::ObjectRef&>(plane) =
        add_object(made, "plane of " + id + " from " + std::to_string(begin));
    chunk.planes.push_back(plane);
    manifest.chunks.push_back(std::move(chunk));
  }
  for (size_t i = 0; i < made.hashes.size(); ++i) {
    const uint64_t end = (i + 1) * manifests::kPrefixBlockTokens;
    made.entries["k/" + std::string(kModel) + "/" + made.hashes[i].hex()] =
        manifests::write_prefix_entry({id, end, static_cast<uint32_t>((end - 1) / kChunkTokens)});
  }
  manifest.text = manifests::Text{std::move(tokens), "", {}};
  return made;
}

std::vector<uint32_t> some_tokens(size_t count, uint32_t seed, size_t distinct_from) {
  std::vector<uint32_t> tokens(count);
  for (size_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<uint32_t>(i) + (i < distinct_from ? 0 : 1000 * seed);
  }
  return tokens;
}

}  // namespace kvcast::origin::testing
