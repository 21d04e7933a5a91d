// The baselines' bytes against numbers worked out by hand, and the arithmetic of the results.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "tools/engine/testing/tiny_model.h"
#include "tools/eval/arithmetic_coder.h"
#include "tools/eval/bit_allocation.h"
#include "tools/eval/cachegen.h"
#include "tools/eval/evaluation.h"
#include "tools/eval/plot.h"
#include "tools/eval/results.h"

namespace kvcast::eval {
namespace {

TEST(ArithmeticCoder, PowersOfTwoCostTheirBits) {
  const std::vector<uint32_t> cdf = {0, 16384, 32768, 49152, 65536};
  std::vector<uint8_t> symbols(256);
  for (size_t i = 0; i < symbols.size(); ++i) symbols[i] = static_cast<uint8_t>(i % 4);
  EXPECT_EQ(arithmetic_coded_bytes(symbols, cdf), 65u);  // 512 bits and 2 that end the stream
  EXPECT_EQ(arithmetic_coded_bytes({}, cdf), 1u);
}

TEST(ArithmeticCoder, StaysAtTheEntropy) {
  std::mt19937 random(5);
  const std::vector<uint32_t> cdf = {0, 60000, 64000, 65535, 65536};
  for (int run = 0; run < 50; ++run) {
    std::vector<uint8_t> symbols(1 + random() % 256);
    double bits = 0;
    for (uint8_t& s : symbols) {
      const uint32_t at = random() % 65536;
      s = static_cast<uint8_t>(std::upper_bound(cdf.begin(), cdf.end(), at) - cdf.begin() - 1);
      bits += std::log2(65536.0 / (cdf[s + 1u] - cdf[s]));
    }
    const auto bytes = static_cast<double>(arithmetic_coded_bytes(symbols, cdf));
    EXPECT_GE(bytes * 8 + 0.1, bits);
    EXPECT_LE(bytes * 8, bits + 11);
  }
}

TEST(CacheGen, LevelsScaleWithTheDepth) {
  const CacheGenLevel mistral = cachegen_level(1, 32);
  EXPECT_EQ(mistral.key_bins[19], 16u);
  EXPECT_EQ(mistral.key_bins[20], 12u);
  EXPECT_EQ(mistral.value_bins[1], 16u);
  EXPECT_EQ(mistral.value_bins[2], 12u);
  EXPECT_EQ(cachegen_level(2, 8).key_bins, (std::vector<uint32_t>{32, 32, 32, 16, 16, 16, 16, 16}));
  EXPECT_EQ(cachegen_level(2, 8).value_bins,
            (std::vector<uint32_t>{32, 16, 16, 16, 16, 16, 16, 16}));
  EXPECT_EQ(cachegen_level(3, 8).key_bins, std::vector<uint32_t>(8, 32));
}

TEST(CacheGen, QuantisesByTheLargestOfAToken) {
  const std::vector<float> values = {2, -2, 0.3f, 0, 0, 0};
  const CacheGenTensor tensor = cachegen_quantise(values, 3, 16);
  EXPECT_EQ(tensor.symbols, (std::vector<uint8_t>{14, 0, 8, 7, 7, 7}));  // 7 * 0.15 + 7 = 8.05
  const std::vector<float> back = cachegen_dequantise(tensor);
  EXPECT_EQ(back[0], 2);
  EXPECT_EQ(back[1], -2);
  EXPECT_NEAR(back[2], 2.0 / 7, 1e-3);
  EXPECT_EQ(back[3], 0);
}

// One layer of 2 channels, 300 tokens: a stream of 256 and one of 44 for each channel and side.
TEST(CacheGen, CountsEveryByteOfAnObject) {
  constexpr uint64_t kTokens = 300;
  std::vector<CacheGenTensor> tensors(2);
  for (CacheGenTensor& tensor : tensors) {
    tensor.bins = &tensor == &tensors[0] ? 16 : 12;
    tensor.symbols.assign(2 * kTokens, 3);
    tensor.scales.assign(kTokens, 1);
  }
  const CacheGenBytes one = cachegen_bytes(tensors, 2, kTokens, kTokens);
  EXPECT_EQ(one.lengths, 4u * 2 * 2 * 2);  // sides, channels, streams
  EXPECT_EQ(one.cdfs, 2u * 2 * 2 * 17);    // sides, channels, the widest bins + 1
  EXPECT_EQ(one.scales, 2u * 2 * kTokens);
  // Certain symbols cost log2(65536 / 65521) bits each: nothing but a byte that ends the stream.
  EXPECT_EQ(one.payload, 2u * 2 * 2);
  const CacheGenBytes two = cachegen_bytes(tensors, 2, kTokens, 256);
  EXPECT_EQ(two.lengths, one.lengths);
  EXPECT_EQ(two.cdfs, 2 * one.cdfs);
  EXPECT_EQ(two.total(), one.total() + one.cdfs);
}

TEST(BitAllocation, SpendsTheBudgetWhereVarianceIs) {
  const std::vector<double> variance = {100, 1, 1, 0.001};
  const std::vector<uint8_t> bits = allocate_bits(variance, 8);
  EXPECT_EQ(std::accumulate(bits.begin(), bits.end(), 0), 8);
  EXPECT_GT(bits[0], bits[1]);
  EXPECT_EQ(bits[3], 0);
  EXPECT_EQ(allocate_bits(variance, 1000), (std::vector<uint8_t>{8, 8, 8, 8}));
  for (uint32_t b = 1; b <= kMostBits; ++b) EXPECT_LT(gauss_distortion(b), gauss_distortion(b - 1));
}

Row row_of(double kl, uint64_t bytes, uint64_t shared = 0) {
  return {"curve", "point", shared, {{bytes, {kl, 1, 0}}, {bytes, {kl, 1, 0}}}};
}

TEST(Results, InterpolatesBitsOverLogKl) {
  const std::vector<Row> curve = {row_of(1e-3, 100, 1000), row_of(1e-5, 300, 1000)};
  const EqualKlRatio ratio = equal_kl_ratio(curve, row_of(1e-4, 400), 800);
  ASSERT_TRUE(ratio.ratio);
  EXPECT_NEAR(ratio.ratio->mean, 0.5, 1e-9);
  EXPECT_NEAR(ratio.amortised_100->mean, 210.0 / 400, 1e-9);
  EXPECT_FALSE(ratio.bound);
  EXPECT_FALSE(equal_kl_ratio(curve, row_of(1e-6, 400), 800).ratio);
  const EqualKlRatio bound = equal_kl_ratio(curve, row_of(1e-2, 400), 800);
  EXPECT_TRUE(bound.bound);
  EXPECT_NEAR(bound.ratio->mean, 0.25, 1e-9);
}

TEST(Results, SummariesCountContextsAlike) {
  Row row = row_of(1e-3, 100, 5000);
  row.samples.push_back({400, {4e-3, 0.5, std::log(2.0)}});
  const Summary summary = summarise(row, 1600);
  EXPECT_EQ(summary.total_bytes, 600u);
  EXPECT_DOUBLE_EQ(summary.bits_per_element, 1);
  EXPECT_DOUBLE_EQ(summary.bits_amortised_100, 1.25);
  EXPECT_NEAR(summary.mean_kl.mean, 2e-3, 1e-12);
  EXPECT_NEAR(summary.mean_kl.high - summary.mean_kl.mean, 1.96e-3, 1e-9);
  EXPECT_NEAR(summary.perplexity.mean, std::cbrt(2.0), 1e-9);
}

TEST(Evaluation, RunsEverySchemeOnASmallModel) {
  const std::string folder = engine::testing::test_folder("eval");
  engine::testing::TinyModel tiny = engine::testing::make_tiny_model(3);
  write_model(tiny, folder);
  const auto model = engine::Model::load(folder);
  ASSERT_TRUE(model.ok()) << model.error().message;
  constexpr uint32_t kTokens = 64;
  std::vector<std::vector<uint32_t>> contexts(2, std::vector<uint32_t>(kTokens + 16));
  std::mt19937 random(9);
  for (auto& tokens : contexts) {
    for (uint32_t& id : tokens) id = static_cast<uint32_t>(random() % 40);
  }
  std::vector<std::unique_ptr<Scheme>> schemes;
  schemes.push_back(per_token_scheme());
  schemes.push_back(packed_scheme(
      *model, {"first-chunk", "", folder, 64, /*raise_last_chunk=*/0, /*exact=*/true, 1}));
  ContextParams params;
  params.context_tokens = kTokens;
  params.continuation = 16;
  params.threads = 1;
  const auto rows = evaluate(*model, contexts, schemes, params, [](size_t) {});
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  const uint64_t channels = model->config().kv_channels(), tensors = 2 * model->config().layers;
  const std::vector<Row> plain = rows_of(*rows, "per-token");
  ASSERT_EQ(plain.size(), 2u);
  EXPECT_EQ(plain[0].samples[0].bytes, tensors * kTokens * (channels + 2));
  EXPECT_EQ(plain[1].samples[0].bytes, tensors * kTokens * (channels / 2 + 2));
  EXPECT_LT(plain[0].samples[0].verdict.mean_kl, plain[1].samples[0].verdict.mean_kl);
  const std::vector<Row> levels = rows_of(*rows, "kvcast:first-chunk");
  ASSERT_EQ(levels.size(), 4u);
  for (size_t i = 1; i < levels.size(); ++i) {
    EXPECT_GT(levels[i].samples[0].bytes, levels[i - 1].samples[0].bytes);
    EXPECT_LT(summarise(levels[i], 1).mean_kl.mean, summarise(levels[i - 1], 1).mean_kl.mean);
  }
  EXPECT_LT(rows_of(*rows, "exact").front().samples[0].verdict.mean_kl, 1e-12);
  EXPECT_NE(plot_svg(*rows, 1, "a & b").find("</svg>"), std::string::npos);
}

}  // namespace
}  // namespace kvcast::eval
