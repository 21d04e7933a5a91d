#include "tools/engine/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace kvcast::engine {
namespace {

using kernels::DType;
using kernels::Side;
using ::testing::HasSubstr;

ModelConfig small_config() {
  ModelConfig config;
  config.layers = 3;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 6;
  return config;
}

TEST(KvCache, ImportsAndExportsEveryRange) {
  std::mt19937 random(3);
  for (const DType dtype : {DType::kF16, DType::kBf16, DType::kF32}) {
    KvCache cache(small_config(), 20);
    for (int round = 0; round < 50; ++round) {
      const uint64_t begin = random() % 21, count = random() % (21 - begin);
      const auto layer = static_cast<uint32_t>(random() % 3);
      const Side side = random() % 2 == 0 ? Side::kKey : Side::kValue;
      std::vector<float> values(count * cache.channels());
      for (float& value : values)
        value = static_cast<float>(static_cast<int>(random() % 200) - 100) / 4;
      std::vector<std::byte> bytes(values.size() * kernels::dtype_bytes(dtype));
      kernels::store_f32(dtype, values, bytes.data());
      ASSERT_TRUE(cache.import_tokens(layer, side, dtype, begin, count, bytes).ok());
      const float* row = cache.row(layer, side, begin);
      EXPECT_EQ(std::vector<float>(row, row + values.size()),
                values);  // quarters are exact in all three
      std::vector<std::byte> back(bytes.size());
      ASSERT_TRUE(cache.export_tokens(layer, side, dtype, begin, count, back).ok());
      EXPECT_EQ(back, bytes);
    }
  }
}

TEST(KvCache, TouchesNothingElse) {
  KvCache cache(small_config(), 4);
  const std::vector<std::byte> ones(cache.channels() * 2, std::byte{0x3C});
  ASSERT_TRUE(cache.import_tokens(1, Side::kValue, DType::kF16, 2, 1, ones).ok());
  for (uint32_t layer = 0; layer < 3; ++layer) {
    for (const Side side : {Side::kKey, Side::kValue}) {
      for (uint64_t token = 0; token < 4; ++token) {
        const bool written = layer == 1 && side == Side::kValue && token == 2;
        for (uint32_t c = 0; c < cache.channels(); ++c)
          EXPECT_EQ(cache.row(layer, side, token)[c] != 0, written);
      }
    }
  }
}

TEST(KvCache, RefusesWhatDoesNotFit) {
  KvCache cache(small_config(), 4);
  std::vector<std::byte> token(cache.channels() * 4);
  const auto error = [&](uint32_t layer, uint64_t begin, uint64_t count, size_t bytes) {
    const auto status = cache.import_tokens(layer, Side::kKey, DType::kF32, begin, count,
                                            std::span(token).first(std::min(bytes, token.size())));
    return status.ok() ? "no error" : status.error().message;
  };
  EXPECT_THAT(error(3, 0, 1, token.size()), HasSubstr("layer 3"));
  EXPECT_THAT(error(0, 4, 1, token.size()), HasSubstr("capacity of 4"));
  EXPECT_THAT(error(0, 1, ~uint64_t{0}, token.size()), HasSubstr("capacity of 4"));
  EXPECT_THAT(error(0, 0, 1, token.size() - 1), HasSubstr("expected 48"));
  EXPECT_FALSE(cache.export_tokens(0, Side::kKey, DType::kF32, 3, 2, token).ok());
}

}  // namespace
}  // namespace kvcast::engine
