#include "tools/engine/prefill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

using ::testing::HasSubstr;

const Model& pocket() {
  static const Model model = *Model::load(std::string(KVCAST_SOURCE_DIR) + "/tests/data/pocket-lm");
  return model;
}

// Tokens the pocket model would not be surprised by are not needed to check arithmetic: ids at
// random.
std::vector<uint32_t> random_tokens(size_t count, uint32_t vocabulary, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<uint32_t> tokens(count);
  for (uint32_t& token : tokens) token = static_cast<uint32_t>(random() % vocabulary);
  return tokens;
}

Prefill run(const Model& model, KvCache& cache, uint64_t begin, std::span<const uint32_t> tokens,
            const PrefillOptions& options = {}) {
  auto result = prefill(model, cache, begin, tokens, options);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : Prefill{};
}

double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

// Against the plain fp64 pass: GQA, untied and tied output, each RoPE scaling, each weight type,
// several tiles and key blocks.
TEST(Prefill, ComputesWhatThePaperSays) {
  const std::string folder = testing::test_folder("reference");
  const std::vector<nlohmann::json> changes = {
      {{"tie_word_embeddings", false}},
      {{"tie_word_embeddings", true}},
      {{"rope_scaling", {{"rope_type", "linear"}, {"factor", 3.0}}}},
      {{"rope_scaling",
        {{"rope_type", "llama3"},
         {"factor", 8.0},
         {"low_freq_factor", 1.0},
         {"high_freq_factor", 4.0},
         {"original_max_position_embeddings", 64}}}}};
  const char* dtypes[] = {"F32", "BF16", "F16", "F32"};
  for (size_t i = 0; i < changes.size(); ++i) {
    testing::TinyModel tiny = testing::make_tiny_model(i + 10);
    tiny.config.update(changes[i]);
    tiny.dtype = dtypes[i];
    testing::write_model(tiny, folder);
    const auto model = Model::load(folder);
    ASSERT_TRUE(model.ok()) << model.error().message;
    for (const size_t count : {1, 2, 127, 300}) {
      const auto tokens = random_tokens(count, 40, count);
      KvCache cache(model->config(), count);
      const Prefill result = run(*model, cache, 0, tokens);
      const auto expected = testing::reference_logits(tiny, tokens, model->config().rope.inv_freq);
      ASSERT_EQ(result.logits.size(), expected.size());
      for (size_t token = 0; token < expected.size(); ++token) {
        EXPECT_NEAR(result.logits[token], expected[token], 2e-5 * (1 + std::abs(expected[token])))
            << i << " " << count;
      }
    }
  }
}

TEST(Prefill, PiecesEqualTheWhole) {
  const auto tokens = random_tokens(1300, pocket().config().vocabulary, 5);
  PrefillOptions all;
  all.all_positions = true;
  KvCache whole(pocket().config(), tokens.size());
  const Prefill expected = run(pocket(), whole, 0, tokens, all);
  std::mt19937 random(11);
  for (int round = 0; round < 2; ++round) {
    KvCache pieces(pocket().config(), tokens.size());
    std::vector<float> logits;
    while (logits.size() < expected.logits.size()) {
      const uint64_t begin = logits.size() / pocket().config().vocabulary;
      const size_t count = std::min<size_t>(1 + random() % 400, tokens.size() - begin);
      const Prefill piece =
          run(pocket(), pieces, begin, std::span(tokens).subspan(begin, count), all);
      logits.insert(logits.end(), piece.logits.begin(), piece.logits.end());
    }
    EXPECT_LT(largest_difference(logits, expected.logits), 1e-4);
  }
}

TEST(Prefill, ThreadsDoNotChangeABit) {
  const auto tokens = random_tokens(500, pocket().config().vocabulary, 6);
  std::vector<std::vector<float>> logits, keys;
  for (const unsigned threads : {1u, 2u, 5u}) {
    KvCache cache(pocket().config(), tokens.size());
    PrefillOptions options;
    options.threads = threads;
    logits.push_back(run(pocket(), cache, 0, tokens, options).logits);
    const float* row = cache.row(7, kernels::Side::kKey, 0);
    keys.emplace_back(row, row + tokens.size() * cache.channels());
  }
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_EQ(logits[0], logits[2]);
  EXPECT_EQ(keys[0], keys[1]);
  EXPECT_EQ(keys[0], keys[2]);
}

TEST(Prefill, LastPositionIsTheLastOfAll) {
  const auto tokens = random_tokens(130, pocket().config().vocabulary, 7);
  KvCache a(pocket().config(), tokens.size()), b(pocket().config(), tokens.size());
  PrefillOptions all;
  all.all_positions = true;
  const Prefill every = run(pocket(), a, 0, tokens, all), last = run(pocket(), b, 0, tokens);
  ASSERT_EQ(last.logits.size(), pocket().config().vocabulary);
  ASSERT_EQ(every.logits.size(), tokens.size() * pocket().config().vocabulary);
  const auto tail = std::span(every.logits).last(pocket().config().vocabulary);
  EXPECT_LT(largest_difference(last.logits, tail), 1e-4);
}

TEST(Prefill, StopsBetweenLayersAndKeepsWholeBlocks) {
  const auto tokens = random_tokens(2100, pocket().config().vocabulary, 8);
  KvCache cache(pocket().config(), tokens.size());
  std::stop_source source;
  PrefillOptions options;
  options.stop = source.get_token();
  options.on_progress = [&](uint64_t done) {
    EXPECT_EQ(done, 1024u);
    source.request_stop();
  };
  const Prefill result = run(pocket(), cache, 0, tokens, options);
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.tokens, 1024u);
  EXPECT_TRUE(result.logits.empty());
  // Not one layer of the next block was run.
  EXPECT_NE(*cache.row(7, kernels::Side::kKey, 1023), 0.0f);
  EXPECT_EQ(*cache.row(0, kernels::Side::kKey, 1024), 0.0f);
}

TEST(Prefill, TouchesOnlyItsOwnTokens) {
  const auto tokens = random_tokens(40, pocket().config().vocabulary, 9);
  KvCache cache(pocket().config(), 100), clean(pocket().config(), 100);
  for (uint64_t token = 40; token < 100; ++token) *cache.row(3, kernels::Side::kValue, token) = NAN;
  const Prefill result = run(pocket(), cache, 0, tokens);
  EXPECT_EQ(result.logits, run(pocket(), clean, 0, tokens).logits);
  EXPECT_TRUE(std::isnan(*cache.row(3, kernels::Side::kValue, 40)));
  EXPECT_EQ(*cache.row(0, kernels::Side::kKey, 40), 0.0f);
}

TEST(Prefill, RefusesWhatCannotBe) {
  KvCache cache(pocket().config(), 10);
  const auto error = [&](uint64_t begin, std::vector<uint32_t> tokens) {
    const auto result = prefill(pocket(), cache, begin, tokens);
    return result.ok() ? "no error" : result.error().message;
  };
  EXPECT_THAT(error(0, {}), HasSubstr("no tokens"));
  EXPECT_THAT(error(9, {1, 2}), HasSubstr("capacity of 10"));
  EXPECT_THAT(error(~uint64_t{0}, {1}), HasSubstr("capacity of 10"));
  EXPECT_THAT(error(3, {1, 2048}), HasSubstr("token 2048 at position 4"));
  KvCache long_cache(pocket().config(), 4097);
  EXPECT_THAT(prefill(pocket(), long_cache, 4096, std::vector<uint32_t>{1}).error().message,
              HasSubstr("max_position_embeddings of 4096"));
  ModelConfig other = pocket().config();
  other.layers = 7;
  KvCache other_cache(other, 10);
  EXPECT_THAT(prefill(pocket(), other_cache, 0, std::vector<uint32_t>{1}).error().message,
              HasSubstr("7 layers"));
}

TEST(ContinueGreedily, TakesTheMostLikelyTokenEachTime) {
  std::vector<uint32_t> tokens = {2047};
  const auto text = pocket().tokenizer().encode("It was a cold morning, and the old house was");
  tokens.insert(tokens.end(), text->begin(), text->end());
  KvCache cache(pocket().config(), 64);
  const Prefill context = run(pocket(), cache, 0, tokens);
  const auto continued = continue_greedily(pocket(), cache, tokens.size(), context.logits, 12);
  ASSERT_TRUE(continued.ok()) << continued.error().message;
  ASSERT_EQ(continued->size(), 12u);
  for (const uint32_t token : *continued) {
    KvCache fresh(pocket().config(), 64);
    ASSERT_EQ(most_likely(run(pocket(), fresh, 0, tokens).logits), token);
    tokens.push_back(token);
  }
}

TEST(ContinueGreedily, EndsAtEndOfTextOnlyWhenAsked) {
  KvCache cache(pocket().config(), 8);
  std::vector<float> logits(pocket().config().vocabulary);
  logits[2047] = 1;
  EXPECT_THAT(*continue_greedily(pocket(), cache, 0, logits, 3), ::testing::IsEmpty());
  ContinueOptions on;
  on.stop_at_eos = false;
  const auto continued = continue_greedily(pocket(), cache, 0, logits, 3, on);
  ASSERT_EQ(continued->size(), 3u);
  EXPECT_EQ(continued->front(), 2047u);
  std::stop_source source;
  source.request_stop();
  on.stop = source.get_token();
  EXPECT_EQ(continue_greedily(pocket(), cache, 0, logits, 3, on)->size(), 1u);
  EXPECT_FALSE(continue_greedily(pocket(), cache, 8, logits, 2, {.stop_at_eos = false}).ok());
}

}  // namespace
}  // namespace kvcast::engine
