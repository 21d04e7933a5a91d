#include "tools/engine/gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

#include "tools/engine/prefill.h"
#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

using kernels::Side;

constexpr uint64_t kContext = 9;
const std::vector<uint32_t> kTokens = {7, 1, 30, 12, 5, 5, 39, 0, 22, 17, 3, 28, 11};
const std::vector<uint32_t> kDrawn = {4, 38, 21, 9};  // after each token of the continuation

class Gradient : public ::testing::Test {
 protected:
  Gradient() : model_(load()), cache_(model_.config(), kTokens.size()) {
    EXPECT_TRUE(prefill(model_, cache_, 0, std::span(kTokens).first(kContext)).ok());
  }

  static Model load() {
    auto tiny = testing::make_tiny_model(5);
    const std::string folder = testing::test_folder("gradient");
    testing::write_model(tiny, folder);
    return std::move(*Model::load(folder));
  }

  // Sum of the drawn tokens' log-likelihoods, in double.
  double log_likelihood(KvCache cache) const {
    PrefillOptions options;
    options.all_positions = true;
    const auto run =
        prefill(model_, cache, kContext, std::span(kTokens).subspan(kContext), options);
    double sum = 0;
    const size_t vocabulary = model_.config().vocabulary;
    for (size_t t = 0; t < kDrawn.size(); ++t) {
      double total = 0;
      for (size_t v = 0; v < vocabulary; ++v)
        total += std::exp(double{run->logits[t * vocabulary + v]});
      sum += double{run->logits[t * vocabulary + kDrawn[t]]} - std::log(total);
    }
    return sum;
  }

  Model model_;
  KvCache cache_;
};

TEST_F(Gradient, IsTheSlopeOfTheLogLikelihood) {
  auto gradient =
      ContinuationGradient::run(model_, cache_, kContext, std::span(kTokens).subspan(kContext));
  ASSERT_TRUE(gradient.ok());
  std::map<std::pair<uint32_t, Side>, std::vector<float>> rows;
  gradient->backward(kDrawn, [&](uint32_t layer, Side side, std::span<const float> of) {
    rows[{layer, side}].assign(of.begin(), of.end());
  });
  ASSERT_EQ(rows.size(), 2u * model_.config().layers);
  std::mt19937_64 random(3);
  std::normal_distribution<float> normal;
  for (const auto& [tensor, of] : rows) {
    ASSERT_EQ(of.size(), kContext * model_.config().kv_channels());
    // Along random directions: a step up and one down against the inner product.
    for (int trial = 0; trial < 4; ++trial) {
      KvCache up = cache_, down = cache_;
      double slope = 0;
      constexpr float kStep = 1e-2f;
      for (size_t i = 0; i < of.size(); ++i) {
        const float direction = normal(random) / 10;
        up.row(tensor.first, tensor.second, 0)[i] += kStep * direction;
        down.row(tensor.first, tensor.second, 0)[i] -= kStep * direction;
        slope += double{direction} * double{of[i]};
      }
      const double measured = (log_likelihood(up) - log_likelihood(down)) / (2 * double{kStep});
      EXPECT_NEAR(slope, measured, 2e-3 + 0.01 * std::fabs(measured))
          << "layer " << tensor.first << ", side " << static_cast<int>(tensor.second);
    }
  }
}

TEST_F(Gradient, LogitsAreThoseOfPrefill) {
  auto gradient =
      ContinuationGradient::run(model_, cache_, kContext, std::span(kTokens).subspan(kContext));
  ASSERT_TRUE(gradient.ok());
  PrefillOptions options;
  options.all_positions = true;
  KvCache again = cache_;
  const auto run = prefill(model_, again, kContext, std::span(kTokens).subspan(kContext), options);
  EXPECT_EQ(gradient->logits(), run->logits);
}

TEST_F(Gradient, RefusesWhatPrefillRefuses) {
  const std::vector<uint32_t> outside = {40};
  EXPECT_FALSE(ContinuationGradient::run(model_, cache_, kContext, outside).ok());
  EXPECT_FALSE(ContinuationGradient::run(model_, cache_, kTokens.size(), kDrawn).ok());
}

}  // namespace
}  // namespace kvcast::engine
