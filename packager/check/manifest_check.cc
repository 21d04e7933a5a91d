#include "packager/check/manifest_check.h"

#include <fmt/format.h>

#include <utility>

#include "manifests/prefix_hash.h"
#include "manifests/text.h"
#include "packager/check/findings.h"
#include "packager/profile_object.h"

namespace kvcast::packager {

using kernels::Profile;
using manifests::Digest;
using manifests::Manifest;

std::optional<Profile> check_profile(const Manifest& manifest, const std::string& name,
                                     ObjectReader& objects, VerifyReport& report) {
  const auto object = load_object(objects, manifest.profile, "profile", report);
  if (!object) return std::nullopt;
  auto profile = read_profile_object(object->bytes, object->file);
  if (!profile.ok()) {
    add_defect(report, object->file, profile.error().message);
    return std::nullopt;
  }
  const manifests::ModelIdentity& model = manifest.model;
  const kernels::Geometry geometry{model.layers, model.key_heads, model.key_dim, model.value_heads,
                                   model.value_dim};
  if (profile->geometry != geometry) {
    add_defect(report, name,
               fmt::format("model.geometry is not that of its profile {}", object->file));
    return std::nullopt;
  }
  if (profile->levels != manifest.levels) {
    add_defect(report, name,
               fmt::format("{} levels, but its profile {} has {}", manifest.levels, object->file,
                           profile->levels));
    return std::nullopt;
  }
  return std::move(*profile);
}

std::vector<uint32_t> check_text(const Manifest& manifest, ObjectReader& objects,
                                 VerifyReport& report) {
  if (!manifest.text) return {};
  if (!manifest.text->object) return manifest.text->tokens;
  const auto object = load_object(objects, *manifest.text->object, "text", report);
  if (!object) return {};
  auto text = manifests::read_text_object(object->bytes, object->file);
  if (!text.ok()) {
    add_defect(report, object->file, text.error().message);
    return {};
  }
  if (text->tokens.size() != manifest.tokens) {
    add_defect(report, object->file,
               fmt::format("{} token ids, but the manifest has {} tokens", text->tokens.size(),
                           manifest.tokens));
    return {};
  }
  return std::move(text->tokens);
}

std::vector<Digest> check_prefix_hashes(const Manifest& manifest, const std::string& name,
                                        const std::vector<uint32_t>& tokens,
                                        const VerifyParams& params, VerifyReport& report) {
  auto hashes = manifests::prefix_hashes(
      {params.salt, manifest.model.weights, manifest.model.adapter, {}}, tokens);
  if (tokens.empty()) return hashes;
  for (size_t i = 0; i < manifest.chunks.size(); ++i) {
    const manifests::ChunkEntry& chunk = manifest.chunks[i];
    const uint64_t blocks = chunk.token_end / manifests::kPrefixBlockTokens;
    const Digest expected = blocks > 0 ? hashes[blocks - 1] : Digest{};
    if (chunk.prefix_hash == expected) continue;
    add_defect(report, name,
               fmt::format("chunks[{}].prefix_hash {} is not that of the text, {}; was it packed "
                           "with another salt?",
                           i, chunk.prefix_hash.hex(), expected.hex()));
    return {};
  }
  return hashes;
}

}  // namespace kvcast::packager
