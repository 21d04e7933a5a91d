#include "manifests/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <stdexcept>

#include "manifests/file.h"
#include "manifests/testing/golden.h"
#include "manifests/testing/sample.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;

Manifest round_trip(const Manifest& manifest) {
  const auto read = read_manifest(write_manifest(manifest), "m.json");
  EXPECT_TRUE(read.ok()) << read.error().message;
  return read.ok() ? *read : Manifest();
}

TEST(Manifest, RoundTrips) {
  for (const uint32_t chunks : {1u, 2u, 7u, 64u}) {
    for (const uint32_t levels : {1u, 4u, 8u}) {
      Manifest manifest = sample_manifest(chunks, levels);
      EXPECT_EQ(round_trip(manifest), manifest);
      EXPECT_EQ(write_manifest(manifest), write_manifest(round_trip(manifest)));
    }
  }
}

TEST(Manifest, OptionalFieldsMayBeAbsent) {
  Manifest manifest = sample_manifest(3, 2);
  manifest.expires.clear();
  manifest.model.adapter.clear();
  manifest.model.rope.reset();
  manifest.codec = codec_string(manifest.model);
  manifest.floor_level.reset();
  manifest.text.reset();
  manifest.chunks[1].exact.reset();
  manifest.chunks[2].planes[1].agreement.reset();
  EXPECT_EQ(round_trip(manifest), manifest);
}

TEST(Manifest, NumbersRoundTripExactly) {
  std::mt19937_64 random(7);
  Manifest manifest = sample_manifest(1, 1);
  double& distortion = manifest.chunks[0].planes[0].distortion;
  for (const double value : {0.0, 1.0, 5e-324, 2.2250738585072014e-308, 0.1, 1.0 / 3, 1 - 1e-16}) {
    distortion = value;
    EXPECT_EQ(round_trip(manifest), manifest) << value;
  }
  for (int i = 0; i < 300; ++i) {
    distortion =
        std::ldexp(static_cast<double>(random() >> 11), -53 - static_cast<int>(random() % 60));
    EXPECT_EQ(round_trip(manifest), manifest) << distortion;
  }
  manifest.raw_bytes = INT64_MAX;
  manifest.chunks[0].decode_cost = 1e15;
  EXPECT_EQ(round_trip(manifest), manifest);
}

TEST(Manifest, UtfEightAndEscapesRoundTrip) {
  Manifest manifest = example_manifest();
  manifest.text->utf8 = "\"quoted\" \\ \n\t\x01 \xf0\x9f\x98\x80 \xe2\x80\xa8";
  manifest.model.name = "a/b \"c\"";
  EXPECT_EQ(round_trip(manifest), manifest);
  manifest.text->utf8 = "\xff";
  EXPECT_THROW(write_manifest(manifest), std::invalid_argument);
}

TEST(Manifest, AChecksumIsCheckedWhateverTheBlanksAndMayBeLeftOut) {
  std::string json = write_manifest(example_manifest());
  json.insert(json.find("\"id\""), "  \"unknown\": [1, 2], ");
  EXPECT_EQ(*read_manifest(json, "x"), example_manifest());
  const size_t token = json.find("[100,101");
  json[token + 3] = '1';
  const auto damaged = read_manifest(json, "x");
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.error().message, HasSubstr("x: checksum: found"));
  const size_t begin = json.find("\"checksum\"");
  const auto edited = read_manifest(json.erase(begin, json.find('\n', begin) - begin), "x");
  ASSERT_TRUE(edited.ok()) << edited.error().message;
  EXPECT_EQ(edited->text->tokens[0], 101u);
}

// Blanks, names of members that may be absent, members no reader knows: what is not found is
// harmless.
TEST(Manifest, EveryChangeOfAByteIsFoundOrChangesNothing) {
  const std::string json = write_manifest(example_manifest());
  size_t same = 0;
  for (size_t at = 0; at < json.size(); ++at) {
    for (int flip = 1; flip < 256; flip = flip < 8 ? flip + 1 : 2 * flip) {
      std::string changed = json;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const auto manifest = read_manifest(changed, "x");
      if (!manifest.ok()) continue;
      ++same;
      EXPECT_EQ(*manifest, example_manifest()) << at << " " << changed.substr(at, 20);
    }
  }
  EXPECT_GT(same, 0u);
}

TEST(Manifest, OneLineAChunk) {
  const std::string json = write_manifest(sample_manifest(64, 4));
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 18 + 1 + 64 + 1);
}

TEST(Manifest, GoldenFilesAndWorkedExample) {
  const std::string json = write_manifest(example_manifest());
  EXPECT_EQ(page_example("manifest_format.md", "manifest"), json);
  expect_golden("manifest/example.json", as_bytes(json));
  expect_golden("manifest/every_field.json", as_bytes(write_manifest(sample_manifest(2, 4))));
  EXPECT_EQ(*read_manifest(as_text(golden("manifest/example.json")), "x"), example_manifest());
  EXPECT_EQ(*read_manifest(as_text(golden("manifest/every_field.json")), "x"),
            sample_manifest(2, 4));
  // As this version was written before it had checksums.
  EXPECT_EQ(*read_manifest(as_text(golden("manifest/without_checksum.json")), "x"),
            example_manifest());
}

// Digests dominate: 64 x 4 of them and 64 prefix hashes are 10 KiB that nothing can squeeze.
TEST(Manifest, SixtyFourChunksOfFourLevelsAreNearTwentyKilobytesGzipped) {
  const TempFolder folder;
  Manifest manifest = sample_manifest(64, 4);
  for (ChunkEntry& chunk : manifest.chunks) {
    chunk.exact.reset();
    for (PlaneRef& plane : chunk.planes) plane.agreement.reset();
  }
  ASSERT_TRUE(write_file_atomically(folder / "m", as_bytes(write_manifest(manifest))).ok());
  std::FILE* gzip = ::popen(("gzip -9 -c " + (folder / "m") + " | wc -c").c_str(), "r");
  ASSERT_NE(gzip, nullptr);
  size_t bytes = 0;
  EXPECT_EQ(std::fscanf(gzip, "%zu", &bytes), 1);
  ASSERT_EQ(::pclose(gzip), 0);
  RecordProperty("gzipped_bytes", static_cast<int>(bytes));
  EXPECT_GT(bytes, 10'000u);
  EXPECT_LT(bytes, 20'000u);
}

TEST(Manifest, KeepsRopesThatOneLineDoesNotSay) {
  Manifest manifest = example_manifest();
  StatedRope wide{"half_split", 1e6, 64}, near{"half_split", 1e4, 32, 16};
  wide.scaling = RopeScaling{"yarn", 4, 32768};
  wide.layers = {0, 3};
  near.layers = {1, 2};
  for (const std::vector<StatedRope>& ropes :
       {std::vector{wide}, std::vector{wide, near}, std::vector<StatedRope>{}}) {
    state_ropes(ropes, manifest.model);
    manifest.codec = codec_string(manifest.model);
    const auto read = read_manifest(write_manifest(manifest), "m");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(*read, manifest);
    EXPECT_EQ(stated_ropes(read->model), ropes);
  }
  const StatedRope plain{"interleaved", 1e4, 64};
  state_ropes({plain}, manifest.model);
  EXPECT_TRUE(manifest.model.ropes.empty());
  EXPECT_EQ(stated_ropes(manifest.model), std::vector{plain});
}

TEST(Manifest, CodecStringSaysWhatTheModelIs) {
  ModelIdentity model = example_manifest().model;
  EXPECT_EQ(codec_string(model), "kvc.1.BF16.8.2x64.2x64.half_split");
  model.rope.reset();
  model.value_heads = model.value_dim = 0;
  EXPECT_EQ(codec_string(model), "kvc.1.BF16.8.2x64.0x0.none");
}

}  // namespace
}  // namespace kvcast::manifests
