#include "tools/engine/comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "manifests/safetensors.h"
#include "tools/engine/prefill.h"
#include "tools/engine/saved_cache.h"
#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

using kernels::DType;

const Model& pocket() {
  static const Model model = *Model::load(std::string(KVCAST_SOURCE_DIR) + "/tests/data/pocket-lm");
  return model;
}

std::vector<uint32_t> sentences() {
  std::ifstream file(std::string(KVCAST_SOURCE_DIR) + "/tests/engine/sentences.txt");
  std::ostringstream text;
  text << file.rdbuf();
  std::vector<uint32_t> tokens = *pocket().tokenizer().encode(text.str());
  tokens.insert(tokens.begin(), 2047);
  return tokens;
}

// The KV cache of all but the last 64 tokens, and what reading it back from a file of `dtype` does
// to the model.
Comparison compare_with_saved(DType dtype, const std::string& folder) {
  const std::vector<uint32_t> tokens = sentences();
  const size_t context = tokens.size() - 64;
  const auto head = std::span(tokens).first(context);
  KvCache original(pocket().config(), tokens.size()), loaded(pocket().config(), tokens.size());
  EXPECT_TRUE(prefill(pocket(), original, 0, head).ok());
  const std::string path = folder + "/" + kernels::dtype_name(dtype) + ".safetensors";
  const auto bytes = save_cache(path, pocket(), original, head, "some words", dtype);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  EXPECT_EQ(*bytes, context * 8 * 2 * 128 * kernels::dtype_bytes(dtype));
  const auto file = manifests::SafetensorsFile::open(path);
  EXPECT_TRUE(file.ok());
  const auto count = load_cache(*file, pocket(), loaded);
  EXPECT_TRUE(count.ok()) << count.error().message;
  EXPECT_EQ(*count, context);
  const auto result =
      compare_caches(pocket(), original, loaded, context, std::span(tokens).subspan(context));
  EXPECT_TRUE(result.ok()) << result.error().message;
  return *result;
}

TEST(Comparison, SavedInFp32NothingChanges) {
  const Comparison result = compare_with_saved(DType::kF32, testing::test_folder("saved_f32"));
  EXPECT_EQ(result.positions, 64u);
  EXPECT_EQ(result.mean_kl, 0.0);
  EXPECT_EQ(result.top1_agreement, 1.0);
  EXPECT_EQ(result.perplexity, result.reference_perplexity);
  EXPECT_GT(result.perplexity, 1.0);
}

TEST(Comparison, SavedInHalfPrecisionLittleChanges) {
  const std::string folder = testing::test_folder("saved_half");
  const Comparison f16 = compare_with_saved(DType::kF16, folder),
                   bf16 = compare_with_saved(DType::kBf16, folder);
  EXPECT_GT(bf16.mean_kl, f16.mean_kl);  // 3 mantissa bits fewer
  EXPECT_GT(f16.mean_kl, 0.0);
  EXPECT_LT(bf16.mean_kl, 1e-3);
  EXPECT_GT(bf16.top1_agreement, 0.9);
}

TEST(Comparison, DamageShows) {
  const std::vector<uint32_t> tokens = sentences();
  const size_t context = tokens.size() - 32;
  KvCache original(pocket().config(), tokens.size()), damaged(pocket().config(), tokens.size());
  for (KvCache* cache : {&original, &damaged}) {
    ASSERT_TRUE(prefill(pocket(), *cache, 0, std::span(tokens).first(context)).ok());
  }
  for (uint64_t token = 1; token < context; ++token) {
    float* row = damaged.row(4, kernels::Side::kValue, token);
    for (uint32_t c = 0; c < damaged.channels(); ++c) row[c] = -row[c];
  }
  const auto result =
      compare_caches(pocket(), original, damaged, context, std::span(tokens).subspan(context));
  ASSERT_TRUE(result.ok());
  EXPECT_GT(result->mean_kl, 1e-2);
}

// Two distributions over {a, b}: KL by hand.
TEST(Comparison, IsWhatTheFormulaSays) {
  const std::vector<float> reference = {std::log(3.0f), 0.0f, 0.0f, 5.0f},
                           candidate = {0.0f, 0.0f, 1.0f, 6.0f};
  const std::vector<uint32_t> targets = {0};
  const Comparison result = compare_distributions(reference, candidate, 2, targets);
  EXPECT_EQ(result.positions, 2u);
  EXPECT_NEAR(result.mean_kl, (0.75 * std::log(1.5) + 0.25 * std::log(0.5)) / 2, 1e-7);
  EXPECT_EQ(result.top1_agreement, 1.0);  // ties go to the first
  EXPECT_NEAR(result.reference_perplexity, 4.0 / 3.0, 1e-6);
  EXPECT_NEAR(result.perplexity, 2.0, 1e-6);
}

TEST(SavedCache, OfAnotherModelIsRefused) {
  const std::string folder = testing::test_folder("other_model");
  testing::TinyModel tiny = testing::make_tiny_model(2);
  testing::write_model(tiny, folder);
  const auto other = Model::load(folder);
  ASSERT_TRUE(other.ok());
  KvCache cache(other->config(), 3);
  const std::vector<uint32_t> tokens = {1, 5, 9};
  ASSERT_TRUE(prefill(*other, cache, 0, tokens).ok());
  const std::string path = folder + "/kv.safetensors";
  ASSERT_TRUE(save_cache(path, *other, cache, tokens, "", DType::kF32).ok());
  const auto file = manifests::SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok());
  KvCache pocket_cache(pocket().config(), 3), short_cache(other->config(), 2);
  const auto refused = load_cache(*file, pocket(), pocket_cache);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, manifests::ErrorKind::kCorrupt);
  EXPECT_NE(refused.error().message.find("weights"), std::string::npos);
  EXPECT_FALSE(load_cache(*file, *other, short_cache).ok());
}

}  // namespace
}  // namespace kvcast::engine
