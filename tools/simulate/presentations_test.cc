#include "tools/simulate/presentations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manifests/file.h"

namespace kvcast::simulate {
namespace {

using ::testing::HasSubstr;

TEST(Synthetic, SizesFollowTheShape) {
  const auto made = synthetic("llama-3-8b:8192", {}, {});
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->chunks.size(), 8u);
  EXPECT_EQ(made->raw_bytes, 8192ull * 2 * 32 * 1024 * 2);
  double base = 0, text_s = 0;
  for (const auto& chunk : made->chunks) {
    EXPECT_EQ(chunk.tokens, 1024u);
    ASSERT_EQ(chunk.ladder.size(), 4u);
    EXPECT_EQ(chunk.max_level, 3);
    for (size_t n = 1; n < 4; ++n) {
      EXPECT_GT(chunk.ladder[n].quality, chunk.ladder[n - 1].quality);
      EXPECT_GT(chunk.ladder[n].decode_s, chunk.ladder[n - 1].decode_s);
    }
    base += static_cast<double>(chunk.ladder[0].bytes);
    text_s += chunk.recompute_s;
  }
  EXPECT_NEAR(base * 8 / (8192.0 * 2 * 32 * 1024), 0.679, 0.03);
  // 16 G operations a token, and attention: a ninth more.
  EXPECT_NEAR(text_s, 8192 * 16e9 / 200e12 * 1.134, 0.01);
  EXPECT_GT(made->chunks[7].recompute_s, made->chunks[0].recompute_s);
}

TEST(Synthetic, ChunksAndSpeedsCanBeChosen) {
  Speeds speeds;
  speeds.prefill_tokens_per_s = 1000;
  speeds.position_cost = 0;
  const auto made = synthetic("llama-3-70b:1000:256", speeds, {1, 2});
  ASSERT_TRUE(made.ok());
  ASSERT_EQ(made->chunks.size(), 4u);
  EXPECT_EQ(made->chunks[3].tokens, 1000u - 768);
  EXPECT_NEAR(made->chunks[0].recompute_s, 0.256, 1e-9);
  EXPECT_EQ(made->chunks[0].min_level, 1);
  EXPECT_EQ(made->chunks[0].max_level, 2);
}

TEST(Synthetic, RefusesOtherDescriptions) {
  for (const char* spec :
       {"", "llama-3-8b", "llama-3-8b:", "gpt:100", "llama-3-8b:0", "llama-3-8b:100:15",
        "llama-3-8b:1e3", "llama-3-8b:99999999999", "llama-3-8b:100:0"}) {
    const auto made = synthetic(spec, {}, {});
    ASSERT_FALSE(made.ok()) << spec;
    EXPECT_EQ(made.error().kind, manifests::ErrorKind::kUsage);
  }
  EXPECT_THAT(synthetic("llama-3-8b:100", {}, {4, std::nullopt}).error().message,
              HasSubstr("levels are 0 to 3"));
}

TEST(FromManifest, TakesBytesAndQualityFromIt) {
  const std::string path = KVCAST_SOURCE_DIR "/tests/golden/manifest/every_field.json";
  const auto bytes = manifests::read_file(path, manifests::kMaxManifestBytes);
  ASSERT_TRUE(bytes.ok());
  const auto manifest =
      manifests::read_manifest({reinterpret_cast<const char*>(bytes->data()), bytes->size()}, path);
  ASSERT_TRUE(manifest.ok());
  const auto made = from_manifest(*manifest, bytes->size(), {}, {});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->manifest_bytes, bytes->size());
  EXPECT_EQ(made->profile_bytes, manifest->profile.bytes);
  ASSERT_EQ(made->chunks.size(), manifest->chunks.size());
  for (size_t c = 0; c < made->chunks.size(); ++c) {
    const auto& entry = manifest->chunks[c];
    ASSERT_EQ(made->chunks[c].ladder.size(), entry.planes.size());
    EXPECT_EQ(made->chunks[c].ladder[0].bytes, entry.planes[0].bytes);
    EXPECT_DOUBLE_EQ(made->chunks[c].ladder[0].quality,
                     entry.planes[0].agreement.value_or(1 - entry.planes[0].distortion));
    EXPECT_GT(made->chunks[c].recompute_s, 0);
  }
  if (manifest->floor_level) {
    EXPECT_EQ(made->chunks.back().min_level, static_cast<int>(*manifest->floor_level));
  }
  EXPECT_FALSE(from_manifest(*manifest, bytes->size(), {}, {99, std::nullopt}).ok());
}

}  // namespace
}  // namespace kvcast::simulate
