#include "manifests/testing/sample.h"

#include <random>

#include "manifests/prefix_hash.h"
#include "manifests/testing/golden.h"

namespace kvcast::manifests {
namespace {

ModelIdentity sample_model() {
  ModelIdentity model;
  model.name = "Pocket LM";
  model.weights = "pocket-lm-1";
  model.tokenizer = "pocket-bpe";
  model.layers = 8;
  model.key_heads = 2;
  model.key_dim = 64;
  model.value_heads = 2;
  model.value_dim = 64;
  model.dtype = "BF16";
  model.rope = RopeParams{"half_split", 10000, 64};
  return model;
}

Manifest without_chunks() {
  Manifest manifest;
  manifest.id = "demo";
  manifest.created = "2026-01-31T12:00:00Z";
  manifest.model = sample_model();
  manifest.codec = codec_string(manifest.model);
  manifest.profile = {sha256(as_bytes("profile")), 70'000};
  manifest.base_urls = {{"../", 1, 1}};
  return manifest;
}

}  // namespace

Manifest sample_manifest(uint32_t chunks, uint32_t levels) {
  std::mt19937_64 random(6);
  std::uniform_real_distribution<double> fraction(0, 1);
  const auto digest = [&] {
    const uint64_t seed = random();
    return sha256(std::as_bytes(std::span(&seed, 1)));
  };
  Manifest manifest = without_chunks();
  manifest.type = "dynamic";
  manifest.expires = "2026-02-28T23:59:59.5Z";
  manifest.model.adapter = "lora-1";
  manifest.chunk_tokens = 1024;
  manifest.tokens = uint64_t{chunks} * 1024;
  manifest.levels = levels;
  manifest.raw_bytes = manifest.tokens * 4096;
  manifest.floor_level = levels - 1;
  manifest.text = Text{{}, "", ObjectRef{digest(), manifest.tokens * 8}};
  manifest.base_urls.push_back({"https://cdn.example/t/public/", 2, 10});
  for (uint32_t i = 0; i < chunks; ++i) {
    ChunkEntry chunk;
    chunk.token_begin = uint64_t{i} * 1024;
    chunk.token_end = chunk.token_begin + 1024;
    chunk.prefix_hash = digest();
    for (uint32_t level = 0; level < levels; ++level) {
      PlaneRef plane;
      plane.digest = digest();
      plane.bytes = 1 + random() % 1'000'000;
      plane.distortion = fraction(random);
      plane.agreement = fraction(random);
      chunk.planes.push_back(plane);
    }
    chunk.exact = ObjectRef{digest(), 1 + random() % 10'000'000};
    chunk.decode_cost = 1024 * 2048 / 1e6;
    manifest.chunks.push_back(std::move(chunk));
  }
  return manifest;
}

Manifest example_manifest() {
  Manifest manifest = without_chunks();
  manifest.chunk_tokens = 16;
  manifest.tokens = 24;
  manifest.levels = 2;
  manifest.raw_bytes = 24 * 4096;
  Text text;
  for (uint32_t i = 0; i < 24; ++i) text.tokens.push_back(100 + i);
  text.utf8 = "Once upon a time \"na\xc3\xafve\" caches were fetched whole.";
  manifest.text = text;
  for (uint32_t begin = 0; begin < 24; begin += 16) {
    ChunkEntry chunk;
    chunk.token_begin = begin;
    chunk.token_end = begin == 0 ? 16 : 24;
    chunk.prefix_hash = prefix_hashes({"", "pocket-lm-1", "", {}}, text.tokens)[0];
    for (const uint64_t bytes : {900u, 700u}) {
      PlaneRef plane;
      plane.digest = sha256(as_bytes("plane " + std::to_string(begin + bytes)));
      plane.bytes = bytes - begin;
      plane.distortion = bytes == 900 ? 0.0123 : 0.0008;
      chunk.planes.push_back(plane);
    }
    chunk.decode_cost = static_cast<double>(chunk.token_end - begin) * 2048 / 1e6;
    manifest.chunks.push_back(std::move(chunk));
  }
  return manifest;
}

}  // namespace kvcast::manifests
