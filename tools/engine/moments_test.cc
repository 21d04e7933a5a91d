#include "tools/engine/moments.h"

#include <gtest/gtest.h>

#include "packager/moments.h"
#include "tools/engine/load/weights.h"
#include "tools/engine/prefill.h"
#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

constexpr size_t kHeads = 4, kKvHeads = 2, kDim = 8, kShare = kHeads / kKvHeads;

class MomentsTest : public ::testing::Test {
 protected:
  MomentsTest() {
    testing::TinyModel tiny = testing::make_tiny_model(5);
    tiny.config["rope_scaling"] = {
        {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32}};
    testing::write_model(tiny, folder_);
    model_ = *Model::load(folder_);
  }

  std::string folder_ = testing::test_folder("moments");
  std::optional<Model> model_;
};

// Rotations change neither a query's length nor a moment's trace.
TEST_F(MomentsTest, TracesAreTheQueriesMeanSquaresAndFilesAreRead) {
  const uint32_t layers = model_->config().layers;
  std::vector<double> trace(layers * kKvHeads);
  Moments moments(*model_);
  PrefillOptions options;
  options.on_queries = [&](uint32_t layer, uint64_t position, std::span<const float> queries) {
    moments.add_queries(layer, position, queries);
    for (size_t i = 0; i < queries.size(); ++i) {
      const size_t head = i / kDim % kHeads;
      trace[layer * kKvHeads + head / kShare] += double{queries[i]} * double{queries[i]};
    }
  };
  std::vector<uint32_t> tokens(60);
  for (uint32_t i = 0; i < tokens.size(); ++i) tokens[i] = i * 7 % 40;
  KvCache cache(model_->config(), tokens.size());
  ASSERT_TRUE(prefill(*model_, cache, 0, tokens, options).ok());
  ASSERT_TRUE(moments.write(folder_ + "/moments").ok());
  const auto read = packager::read_moments({folder_ + "/moments"}, model_->config().geometry(),
                                           model_->weights_id());
  ASSERT_TRUE(read.ok()) << read.error().message;
  // Attention's factor on cosines and sines: once in the query already, once in the key.
  const double s = model_->config().rope.attention_scaling;
  for (uint32_t layer = 0; layer < layers; ++layer) {
    for (size_t head = 0; head < kKvHeads; ++head) {
      const auto matrix = std::span((*read)[2 * layer]).subspan(head * kDim * kDim, kDim * kDim);
      double sum = 0;
      for (size_t a = 0; a < kDim; ++a) {
        sum += matrix[a * kDim + a];
        for (size_t b = 0; b < a; ++b) EXPECT_EQ(matrix[a * kDim + b], matrix[b * kDim + a]);
      }
      const double mean =
          trace[layer * kKvHeads + head] / static_cast<double>(tokens.size() * kShare * kDim);
      EXPECT_NEAR(sum, s * s * mean, 1e-4 * sum);
    }
  }
}

TEST_F(MomentsTest, OutputMomentsAreThoseOfTheProjection) {
  ASSERT_TRUE(Moments(*model_).write(folder_ + "/moments").ok());
  const auto read = packager::read_moments({folder_ + "/moments"}, model_->config().geometry(),
                                           model_->weights_id());
  ASSERT_TRUE(read.ok()) << read.error().message;
  const std::vector<float>& output = model_->weights().layers[1].output;  // [hidden][heads * dim]
  double expected = 0;  // layer 1, KV head 1, dims 3 and 5
  for (size_t row = 0; row < model_->config().hidden; ++row) {
    for (size_t head = kShare; head < kHeads; ++head) {
      const float* columns = output.data() + row * kHeads * kDim + head * kDim;
      expected += double{columns[3]} * double{columns[5]} / kShare;
    }
  }
  EXPECT_NEAR((*read)[3][kDim * kDim + 3 * kDim + 5], expected, 1e-5);
}

}  // namespace
}  // namespace kvcast::engine
