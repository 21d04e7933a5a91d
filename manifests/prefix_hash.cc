#include "manifests/prefix_hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "manifests/bytes/little_endian.h"
#include "manifests/json/document.h"
#include "manifests/json/node.h"
#include "manifests/layout.h"
#include "manifests/manifest.h"
#include "manifests/prefix_link.h"

namespace kvcast::manifests {
namespace {

constexpr std::string_view kDomain("kvcast prefix 1\0", 16);
constexpr JsonLimits kEntryLimits = {.bytes = 4096, .values = 64};
constexpr uint64_t kMaxTokens = uint64_t{1} << 40;

void add_u32(Sha256& hash, uint32_t value) {
  std::array<std::byte, 4> bytes;
  store_le(std::span<std::byte>(bytes), 0, value);
  hash.update(bytes);
}

void add_string(Sha256& hash, std::string_view text) {
  add_u32(hash, static_cast<uint32_t>(text.size()));
  hash.update(std::as_bytes(std::span(text)));
}

Digest seed_hash(const PrefixSeed& seed) {
  Sha256 hash;
  hash.update(std::as_bytes(std::span(kDomain)));
  add_string(hash, seed.salt);
  add_string(hash, seed.weights);
  add_string(hash, seed.adapter);
  add_u32(hash, static_cast<uint32_t>(seed.extra_keys.size()));
  for (const std::string& key : seed.extra_keys) add_string(hash, key);
  return hash.finish();
}

}  // namespace

std::vector<Digest> prefix_hashes(const PrefixSeed& seed, std::span<const uint32_t> tokens) {
  std::vector<Digest> hashes(tokens.size() / kPrefixBlockTokens);
  Digest previous = seed_hash(seed);
  for (size_t i = 0; i < hashes.size(); ++i) {
    previous = hashes[i] =
        next_prefix_hash(previous, tokens.subspan(i * kPrefixBlockTokens, kPrefixBlockTokens));
  }
  return hashes;
}

Digest next_prefix_hash(const Digest& previous, std::span<const uint32_t> block) {
  if (block.size() != kPrefixBlockTokens) throw std::invalid_argument("not a block of tokens");
  std::array<std::byte, sizeof previous.bytes + sizeof(uint32_t) * kPrefixBlockTokens> link;
  std::ranges::copy(previous.bytes, link.begin());
  for (size_t i = 0; i < block.size(); ++i) {
    store_le(std::span<std::byte>(link), sizeof previous.bytes + sizeof(uint32_t) * i, block[i]);
  }
  return sha256(link);
}

std::string write_prefix_entry(const PrefixEntry& entry) {
  const nlohmann::ordered_json json = {{"kvcast", 1},
                                       {"presentation", entry.presentation},
                                       {"tokens", entry.tokens},
                                       {"chunk", entry.chunk}};
  return json.dump() + "\n";
}

Result<PrefixEntry> read_prefix_entry(std::string_view json, std::string_view name) {
  const auto document = parse_json(json, kEntryLimits, name);
  if (!document.ok()) return document.error();
  std::string fault;
  const JsonNode root(*document, fault);
  const JsonNode version = root.member("kvcast");
  version.expect(version.integer(0, UINT32_MAX) == 1, "version 1; use a matching kvcast");
  PrefixEntry entry;
  const JsonNode presentation = root.member("presentation");
  entry.presentation = presentation.string(1, kMaxNameChars);
  presentation.expect(is_valid_name(entry.presentation),
                      "1 to 64 of [A-Za-z0-9._-], not starting with a dot");
  const JsonNode tokens = root.member("tokens");
  entry.tokens = tokens.integer(kPrefixBlockTokens, kMaxTokens);
  tokens.expect(entry.tokens % kPrefixBlockTokens == 0, "a multiple of 16");
  entry.chunk = static_cast<uint32_t>(root.member("chunk").integer(0, kMaxChunks - 1));
  if (!fault.empty()) return Error{ErrorKind::kCorrupt, fmt::format("{}: {}", name, fault)};
  return entry;
}

}  // namespace kvcast::manifests
