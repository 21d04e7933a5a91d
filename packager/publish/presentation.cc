#include "packager/publish/presentation.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <utility>

namespace kvcast::packager {
namespace {

using manifests::ChunkEntry;
using manifests::Digest;
using manifests::Error;
using manifests::ErrorKind;
using manifests::Manifest;
using manifests::Result;

constexpr size_t kIdDigits = 32;
constexpr int64_t kLastSecondOfYear9999 = 253402300799;

// Strings and numbers with their lengths, so that no two lists of them hash the same bytes.
class IdHash {
 public:
  void add(std::string_view text) {
    add(uint64_t{text.size()});
    hash_.update(std::as_bytes(std::span(text)));
  }
  void add(uint64_t number) {
    std::array<std::byte, 8> bytes;
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(number >> (8 * i));
    hash_.update(bytes);
  }
  void add(const Digest& digest) { hash_.update(digest.bytes); }
  std::string finish() { return hash_.finish().hex().substr(0, kIdDigits); }

 private:
  manifests::Sha256 hash_;
};

}  // namespace

std::vector<ChunkEntry> plan_chunks(uint64_t tokens, uint32_t chunk_tokens,
                                    std::span<const Digest> hashes) {
  std::vector<ChunkEntry> chunks;
  for (uint64_t begin = 0; begin < tokens; begin += chunk_tokens) {
    ChunkEntry chunk;
    chunk.token_begin = begin;
    chunk.token_end = std::min(tokens, begin + chunk_tokens);
    const uint64_t blocks = chunk.token_end / manifests::kPrefixBlockTokens;
    if (!hashes.empty() && blocks > 0) chunk.prefix_hash = hashes[blocks - 1];
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

std::string presentation_id(const Manifest& manifest) {
  IdHash hash;
  hash.add("kvcast presentation 1");
  hash.add(manifest.codec);
  for (const std::string* text : {&manifest.model.name, &manifest.model.weights,
                                  &manifest.model.tokenizer, &manifest.model.adapter}) {
    hash.add(*text);
  }
  hash.add(manifest.profile.digest);
  hash.add(manifest.tokens);
  hash.add(uint64_t{manifest.chunk_tokens});
  for (const ChunkEntry& chunk : manifest.chunks) {
    hash.add(chunk.prefix_hash);
    hash.add(uint64_t{chunk.planes.size()});
    for (const manifests::PlaneRef& plane : chunk.planes) hash.add(plane.digest);
  }
  return hash.finish();
}

Result<std::string> time_of_creation() {
  int64_t seconds = std::chrono::duration_cast<std::chrono::seconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count();
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch && *epoch) {
    const char* end = epoch + std::strlen(epoch);
    const auto [stopped, error] = std::from_chars(epoch, end, seconds);
    if (error != std::errc() || stopped != end || seconds < 0 || seconds > kLastSecondOfYear9999) {
      return Error{ErrorKind::kUsage,
                   fmt::format("SOURCE_DATE_EPOCH is \"{}\"; expected seconds since 1970", epoch)};
    }
  }
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

Manifest describe_presentation(const PackParams& params, const KvSource& source, uint32_t levels,
                               manifests::ObjectRef profile, std::vector<ChunkEntry> chunks) {
  Manifest manifest;
  manifest.model = source.info().model;
  manifest.codec = manifests::codec_string(manifest.model);
  manifest.profile = profile;
  manifest.tokens = source.tokens();
  manifest.chunk_tokens = params.chunk_tokens;
  manifest.levels = levels;
  manifest.raw_bytes = source.tokens() * source.geometry().bytes_per_token(source.dtype());
  manifest.floor_level = params.floor_level;
  manifest.base_urls = params.base_urls;
  if (manifest.base_urls.empty()) manifest.base_urls.push_back({"../", 1, 1});
  manifest.expires = params.expires;
  manifest.chunks = std::move(chunks);
  return manifest;
}

}  // namespace kvcast::packager
