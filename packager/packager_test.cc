// What is packed can be read back, within bounds, and does not depend on threads.
#include "packager/packager.h"

#include <gtest/gtest.h>

#include <cmath>

#include "manifests/file.h"
#include "manifests/prefix_hash.h"
#include "packager/testing/folder.h"
#include "packager/testing/stored.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

using kernels::Side;

PackParams params_for(const TestFolder& folder, const std::string& out) {
  PackParams params;
  params.input = folder / "kv.safetensors";
  params.out = folder / out;
  params.chunk_tokens = 64;
  params.created = "2026-01-31T12:00:00Z";
  return params;
}

PackReport must_pack(const PackParams& params) {
  auto report = pack(params);
  if (!report.ok()) throw std::runtime_error(report.error().message);
  return std::move(*report);
}

class PackRandom : public testing::TestWithParam<uint32_t> {
 protected:
  PackRandom() {
    std::mt19937_64 random(GetParam());
    kv_ = random_synthetic(random);
    tensors_ = synthetic_tensors(kv_);
    write_kv_file(folder_ / "kv.safetensors", kv_, tensors_);
  }

  std::vector<float> original(uint32_t layer, Side side, const manifests::ChunkEntry& chunk) const {
    const auto& tensor = tensors_[2 * layer + static_cast<uint32_t>(side)];
    const size_t channels = kv_.geometry.channels(side);
    std::vector<float> values((chunk.token_end - chunk.token_begin) * channels);
    kernels::load_f32(
        kv_.dtype, tensor.data() + chunk.token_begin * channels * kernels::dtype_bytes(kv_.dtype),
        values);
    return values;
  }

  // The largest error that quantisation may cause at a level, in K's or V's own units: a cell's
  // width, and a step where the encoder chose a neighbour, times the channel's scale; twice that
  // where RoPE mixes two channels. Plus rounding to bf16 and back.
  double bound(const kernels::Profile& profile, uint32_t layer, Side side, uint32_t level,
               uint32_t channel, double value) const {
    const kernels::SectionCodec& codec = profile.section(layer, side);
    const bool mixes = side == Side::kKey && kv_.rope != "none";
    double scale = codec.scale[channel], mean = std::abs(codec.mean[channel]);
    if (mixes) {
      const uint32_t head = channel / kv_.geometry.key_dim * kv_.geometry.key_dim;
      for (uint32_t c = head; c < head + kv_.geometry.key_dim; ++c) {
        scale = std::max<double>(scale, codec.scale[c]);
        mean = std::max<double>(mean, std::abs(codec.mean[c]));
      }
    }
    const double cell = codec.step * (std::ldexp(1.0, codec.drop_bits[level]) + 1);
    const double place = kv_.dtype == kernels::DType::kF8E5M2   ? 0.25
                         : kv_.dtype == kernels::DType::kF8E4M3 ? 0.125
                                                                : 0.0;
    return (mixes ? 2 : 1) * scale * cell + 0.02 * (std::abs(value) + 2 * mean + scale) +
           place * (std::abs(value) + scale * cell);
  }

  TestFolder folder_;
  SyntheticKv kv_;
  std::vector<std::vector<std::byte>> tensors_;
};

TEST_P(PackRandom, IsTheSameAtAnyNumberOfThreads) {
  for (const uint32_t threads : {1u, 2u, 5u}) {
    PackParams params = params_for(folder_, "store" + std::to_string(threads));
    params.threads = threads;
    params.exact = GetParam() % 2 == 0;
    must_pack(params);
  }
  const auto expected = tree(folder_ / "store1");
  EXPECT_GE(expected.size(), 6u);  // manifest, profile, four planes
  EXPECT_EQ(tree(folder_ / "store2"), expected);
  EXPECT_EQ(tree(folder_ / "store5"), expected);
}

TEST_P(PackRandom, EveryLevelIsWithinItsQuantisersBound) {
  const PackReport report = must_pack(params_for(folder_, "store"));
  const Stored stored(folder_ / "store/t/public", report.manifest);
  for (uint32_t chunk = 0; chunk < report.manifest.chunks.size(); ++chunk) {
    const auto& entry = report.manifest.chunks[chunk];
    for (uint32_t level = 0; level < report.manifest.levels; ++level) {
      const auto decoded = stored.decode(chunk, level);
      for (uint32_t i = 0; i < decoded.size(); ++i) {
        const auto side = static_cast<Side>(i % 2);
        const auto expected = original(i / 2, side, entry);
        std::vector<float> values(expected.size());
        kernels::load_f32(kv_.dtype, decoded[i].data(), values);
        for (size_t e = 0; e < values.size(); ++e) {
          const auto channel = static_cast<uint32_t>(e % kv_.geometry.channels(side));
          ASSERT_LE(std::abs(values[e] - expected[e]),
                    bound(stored.profile(), i / 2, side, level, channel, expected[e]))
              << "chunk " << chunk << " level " << level << " tensor " << i << " element " << e;
        }
      }
    }
  }
}

TEST_P(PackRandom, SinksAreExactInTheBase) {
  const PackReport report = must_pack(params_for(folder_, "store"));
  const Stored stored(folder_ / "store/t/public", report.manifest);
  const auto decoded = stored.decode(0, 0);
  for (uint32_t i = 0; i < decoded.size(); ++i) {
    const size_t token_bytes =
        kv_.geometry.channels(static_cast<Side>(i % 2)) * kernels::dtype_bytes(kv_.dtype);
    const size_t bytes = std::min<size_t>(stored.profile().sink_tokens, kv_.tokens) * token_bytes;
    EXPECT_TRUE(std::equal(decoded[i].begin(), decoded[i].begin() + static_cast<ptrdiff_t>(bytes),
                           tensors_[i].begin()))
        << i;
  }
}

TEST_P(PackRandom, ExactObjectsAreBitIdentical) {
  PackParams params = params_for(folder_, "store");
  params.exact = true;
  const PackReport report = must_pack(params);
  const Stored stored(folder_ / "store/t/public", report.manifest);
  std::vector<std::vector<std::byte>> joined(tensors_.size());
  for (uint32_t chunk = 0; chunk < report.manifest.chunks.size(); ++chunk) {
    const auto decoded = stored.decode_exact(chunk);
    for (size_t i = 0; i < decoded.size(); ++i) {
      joined[i].insert(joined[i].end(), decoded[i].begin(), decoded[i].end());
    }
  }
  EXPECT_TRUE(joined == tensors_);
}

TEST_P(PackRandom, ManifestSaysWhatIsThere) {
  PackParams params = params_for(folder_, "store");
  params.exact = true;
  const PackReport report = must_pack(params);
  const manifests::Manifest& manifest = report.manifest;
  EXPECT_EQ(manifest.tokens, kv_.tokens);
  EXPECT_EQ(manifest.raw_bytes, kv_.tokens * kv_.geometry.bytes_per_token(kv_.dtype));
  EXPECT_EQ(report.raw_bytes, manifest.raw_bytes);
  EXPECT_EQ(manifest.chunks.size(), (kv_.tokens + 63) / 64);
  ASSERT_EQ(report.bytes_by_level.size(), 4u);
  for (uint32_t level = 1; level < 4; ++level) {
    EXPECT_GT(report.bytes_by_level[level], report.bytes_by_level[level - 1]);
    for (const auto& chunk : manifest.chunks) {
      EXPECT_LE(chunk.planes[level].distortion, chunk.planes[level - 1].distortion + 1e-12);
    }
  }
  const auto hashes =
      manifests::prefix_hashes({"", "synthetic-weights", "", {}}, manifest.text->tokens);
  EXPECT_EQ(report.prefix_entries_written, kv_.tokens / 16);
  ASSERT_EQ(hashes.size(), kv_.tokens / 16);
  for (size_t block = 0; block < hashes.size(); ++block) {
    const std::string path =
        folder_ / ("store/t/public/k/synthetic-weights/" + hashes[block].hex());
    const auto entry = manifests::read_prefix_entry(read_text(path), path);
    ASSERT_TRUE(entry.ok()) << entry.error().message;
    EXPECT_EQ(*entry, (manifests::PrefixEntry{manifest.id, 16 * (block + 1),
                                              static_cast<uint32_t>(block / 4)}));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PackRandom, testing::Range(1u, 13u));

TEST(Pack, CountsTheBytesOfEachLevel) {
  const TestFolder folder;
  write_kv_file(folder / "kv.safetensors", {});
  PackParams params = params_for(folder, "store");
  params.exact = true;
  params.chunk_tokens = 16;
  const PackReport report = must_pack(params);
  ASSERT_EQ(report.manifest.chunks.size(), 3u);
  uint64_t planes = 0, exact = 0;
  for (const auto& chunk : report.manifest.chunks) {
    for (const auto& plane : chunk.planes) planes += plane.bytes;
    exact += chunk.exact->bytes;
  }
  EXPECT_EQ(report.bytes_by_level.back(), planes);
  EXPECT_EQ(report.exact_bytes, exact);
  EXPECT_EQ(report.objects_written, 1u + 3 * 5);
}

TEST(Pack, LeavesTextOutWhenAskedTo) {
  const TestFolder folder;
  write_kv_file(folder / "kv.safetensors", {});
  PackParams params = params_for(folder, "store");
  params.include_text = false;
  const PackReport report = must_pack(params);
  EXPECT_FALSE(report.manifest.text);
  EXPECT_EQ(read_text(report.manifest_path).find("some text"), std::string::npos);
  EXPECT_EQ(report.prefix_entries_written, 2u);
}

TEST(Pack, StoresLongTextAsAnObject) {
  const TestFolder folder;
  SyntheticKv kv;
  kv.geometry = {1, 1, 2, 1, 1};
  kv.tokens = 17000;
  write_kv_file(folder / "kv.safetensors", kv);
  PackParams params = params_for(folder, "store");
  params.chunk_tokens = 8192;
  const PackReport report = must_pack(params);
  ASSERT_TRUE(report.manifest.text && report.manifest.text->object);
  EXPECT_TRUE(report.manifest.text->tokens.empty());
  EXPECT_EQ(report.text_object_bytes, report.manifest.text->object->bytes);
}

TEST(Pack, TakesACacheWithoutTokens) {
  const TestFolder folder;
  SyntheticKv kv;
  kv.with_tokens = false;
  write_kv_file(folder / "kv.safetensors", kv);
  const PackReport report = must_pack(params_for(folder, "store"));
  EXPECT_FALSE(report.manifest.text);
  EXPECT_EQ(report.manifest.chunks[0].prefix_hash, manifests::Digest{});
  EXPECT_EQ(report.prefix_entries_written, 0u);
}

TEST(Pack, LaterTurnsShareTheChunksBefore) {
  const TestFolder folder;
  SyntheticKv kv;
  kv.tokens = 128;
  auto tensors = synthetic_tensors(kv);
  write_kv_file(folder / "kv.safetensors", kv, tensors);
  must_pack(params_for(folder, "store"));
  SyntheticKv longer = kv;
  longer.tokens = 200;
  write_kv_file(folder / "kv.safetensors", longer);
  const PackReport report = must_pack(params_for(folder, "store"));
  EXPECT_EQ(report.objects_reused, 1u + 2 * 4);  // profile and two chunks
  EXPECT_EQ(report.objects_written, 2u * 4);
}

TEST(Pack, SaltChangesEveryPrefixHash) {
  const TestFolder folder;
  write_kv_file(folder / "kv.safetensors", {});
  PackParams params = params_for(folder, "store");
  const PackReport plain = must_pack(params);
  params.salt = "secret";
  const PackReport salted = must_pack(params);
  EXPECT_NE(plain.manifest.chunks[0].prefix_hash, salted.manifest.chunks[0].prefix_hash);
  EXPECT_NE(plain.manifest.id, salted.manifest.id);
  EXPECT_EQ(salted.prefix_entries_written, 2u);
  EXPECT_EQ(salted.objects_written, 0u);
}

}  // namespace
}  // namespace kvcast::packager
