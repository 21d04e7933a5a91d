#include "kernels/exact.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>

namespace kvcast::kernels {
namespace {

// A tensor whose rows are further apart than they are long, so that strides matter.
struct Tensor {
  DType dtype;
  uint32_t tokens, channels;
  size_t stride;
  std::vector<std::byte> bytes;

  Tensor(DType type, uint32_t n, uint32_t c)
      : dtype(type),
        tokens(n),
        channels(c),
        stride(c * dtype_bytes(type) + 6),
        bytes(n * stride, std::byte{0xEE}) {}
  TensorView view() const { return {bytes.data(), stride}; }
  MutableTensorView mutable_view() { return {bytes.data(), stride}; }
  std::span<std::byte> row(uint32_t token) {
    return std::span(bytes).subspan(token * stride, channels * dtype_bytes(dtype));
  }
};

enum class Content { kGauss, kAnyBits, kSpecial, kConstant, kZero, kWide };

void fill(std::mt19937& random, Content content, Tensor& tensor) {
  std::normal_distribution<float> normal;
  const float specials[] = {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::denorm_min(),
                            -0.0f,
                            6e-8f,
                            1e-40f,
                            std::numeric_limits<float>::max()};
  std::vector<float> row(tensor.channels);
  for (uint32_t t = 0; t < tensor.tokens; ++t) {
    for (uint32_t c = 0; c < tensor.channels; ++c) {
      row[c] = content == Content::kConstant ? -1.25f : 0.0f;
      if (content == Content::kGauss) row[c] = normal(random) * static_cast<float>(1 + c % 7);
      if (content == Content::kSpecial)
        row[c] = random() % 4 == 0 ? specials[random() % 8] : normal(random);
      if (content == Content::kWide)
        row[c] = std::ldexp(normal(random), static_cast<int>(random() % 80) - 40);
    }
    store_f32(tensor.dtype, row, tensor.row(t).data());
    if (content != Content::kAnyBits) continue;
    for (std::byte& byte : tensor.row(t)) byte = static_cast<std::byte>(random());
  }
}

void expect_round_trip(Tensor& tensor) {
  const std::vector<std::byte> section =
      encode_exact(tensor.dtype, tensor.tokens, tensor.channels, tensor.view());
  Tensor back(tensor.dtype, tensor.tokens, tensor.channels);
  const Check decoded =
      decode_exact(tensor.dtype, tensor.tokens, tensor.channels, section, back.mutable_view());
  ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
  ASSERT_EQ(back.bytes, tensor.bytes)
      << dtype_name(tensor.dtype) << ' ' << tensor.tokens << " x " << tensor.channels;
}

TEST(Exact, RoundTripsAnyBits) {
  std::mt19937 random(30);
  for (const DType dtype : kDTypes) {
    for (const Content content : {Content::kGauss, Content::kAnyBits, Content::kSpecial,
                                  Content::kConstant, Content::kZero, Content::kWide}) {
      for (int i = 0; i < 12; ++i) {
        Tensor tensor(dtype, 1 + static_cast<uint32_t>(random() % 90),
                      1 + static_cast<uint32_t>(random() % 200));
        fill(random, content, tensor);
        expect_round_trip(tensor);
      }
    }
  }
}

TEST(Exact, RoundTripsSmallestAndOddShapes) {
  std::mt19937 random(31);
  for (const DType dtype : kDTypes) {
    for (const auto& [tokens, channels] : {std::pair{1u, 1u},
                                           {1u, 31u},
                                           {1u, 32u},
                                           {1u, 33u},
                                           {3u, 64u},
                                           {2049u, 1u},
                                           {1u, 1024u}}) {
      Tensor tensor(dtype, tokens, channels);
      fill(random, Content::kSpecial, tensor);
      expect_round_trip(tensor);
    }
  }
}

// Enough elements for several streams and several tables.
TEST(Exact, RoundTripsManyStreams) {
  std::mt19937 random(32);
  Tensor tensor(DType::kBf16, 1500, 200);
  fill(random, Content::kGauss, tensor);
  expect_round_trip(tensor);
}

TEST(Exact, ShrinksGaussianBf16) {
  std::mt19937 random(33);
  Tensor tensor(DType::kBf16, 1024, 256);
  fill(random, Content::kGauss, tensor);
  const size_t raw = size_t{1024} * 256 * 2;
  const size_t bytes = encode_exact(DType::kBf16, 1024, 256, tensor.view()).size();
  const double ratio = static_cast<double>(raw) / static_cast<double>(bytes);
  RecordProperty("gaussian_bf16_ratio", std::to_string(ratio));
  std::printf("Gaussian bf16: %.3fx smaller\n", ratio);
  EXPECT_GT(ratio, 1.45);  // 8 bits of rest and 2.6 of exponent
}

// 3 and 2 bits of mantissa and a sign stay as they are; the exponents take about 2.5.
TEST(Exact, ShrinksGaussianFp8) {
  std::mt19937 random(39);
  for (const auto& [dtype, least] : {std::pair{DType::kF8E4M3, 1.15}, {DType::kF8E5M2, 1.35}}) {
    Tensor tensor(dtype, 1024, 256);
    fill(random, Content::kGauss, tensor);
    const size_t bytes = encode_exact(dtype, 1024, 256, tensor.view()).size();
    const double ratio = 1024 * 256 / static_cast<double>(bytes);
    std::printf("Gaussian %s: %.3fx smaller\n", dtype_name(dtype), ratio);
    EXPECT_GT(ratio, least);
  }
}

TEST(Exact, SameInputSameBytes) {
  std::mt19937 random(34);
  Tensor tensor(DType::kF16, 70, 90);
  fill(random, Content::kGauss, tensor);
  EXPECT_EQ(encode_exact(DType::kF16, 70, 90, tensor.view()),
            encode_exact(DType::kF16, 70, 90, tensor.view()));
}

struct Encoded {
  Tensor tensor;
  std::vector<std::byte> section;
};

Encoded sample(std::mt19937& random, DType dtype, Content content) {
  Tensor tensor(dtype, 5, 41);
  fill(random, content, tensor);
  std::vector<std::byte> section = encode_exact(dtype, 5, 41, tensor.view());
  return {std::move(tensor), std::move(section)};
}

Check decode(const Tensor& shape, std::span<const std::byte> section) {
  Tensor back(shape.dtype, shape.tokens, shape.channels);
  const Check check =
      decode_exact(shape.dtype, shape.tokens, shape.channels, section, back.mutable_view());
  for (uint32_t t = 0; t < back.tokens; ++t) {  // the bytes between rows are not the decoder's
    const auto gap = std::span(back.bytes).subspan(t * back.stride + back.row(t).size(), 6);
    EXPECT_TRUE(
        std::all_of(gap.begin(), gap.end(), [](std::byte b) { return b == std::byte{0xEE}; }));
  }
  return check;
}

TEST(Exact, EveryTruncationIsAFault) {
  std::mt19937 random(35);
  for (const DType dtype : kDTypes) {
    const Encoded whole = sample(random, dtype, Content::kWide);
    for (size_t bytes = 0; bytes < whole.section.size(); ++bytes) {
      ASSERT_FALSE(decode(whole.tensor, std::span(whole.section).first(bytes)).ok()) << bytes;
    }
    std::vector<std::byte> longer = whole.section;
    longer.push_back(std::byte{0});
    EXPECT_FALSE(decode(whole.tensor, longer).ok());
  }
}

TEST(Exact, FlippedBitsAreSafe) {
  std::mt19937 random(36);
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    const Encoded whole = sample(random, kDTypes[static_cast<size_t>(i) % std::size(kDTypes)],
                                 i % 2 == 0 ? Content::kWide : Content::kGauss);
    std::vector<std::byte> section = whole.section;
    for (uint32_t flips = 1 + static_cast<uint32_t>(random() % 3); flips > 0; --flips) {
      // Mostly in the tables and streams: a flipped rest bit is another valid tensor.
      const size_t within =
          random() % 4 == 0 ? section.size() : std::min<size_t>(section.size(), 200);
      section[random() % within] ^= static_cast<std::byte>(1u << random() % 8);
    }
    if (!decode(whole.tensor, section).ok()) ++refused;
  }
  EXPECT_GT(refused, 1500);
}

TEST(Exact, AnotherShapeIsAFault) {
  std::mt19937 random(37);
  const Encoded whole = sample(random, DType::kBf16, Content::kGauss);
  EXPECT_FALSE(decode(Tensor(DType::kBf16, 5, 40), whole.section).ok());
  EXPECT_FALSE(decode(Tensor(DType::kBf16, 4, 41), whole.section).ok());
  EXPECT_FALSE(decode(Tensor(DType::kF32, 5, 41), whole.section).ok());
  const Encoded wide = sample(random, DType::kF8E5M2, Content::kGauss);
  EXPECT_FALSE(decode(Tensor(DType::kF8E4M3, 5, 41), wide.section).ok());
}

TEST(Exact, HugeCountsAreRefusedBeforeAllocation) {
  std::mt19937 random(38);
  const Encoded whole = sample(random, DType::kBf16, Content::kGauss);
  for (size_t field = 0; field < 16; field += 4) {
    std::vector<std::byte> section = whole.section;
    std::fill_n(section.begin() + static_cast<std::ptrdiff_t>(field), 4, std::byte{0xFF});
    EXPECT_FALSE(decode(whole.tensor, section).ok()) << field;
  }
  MutableTensorView nowhere;
  EXPECT_FALSE(decode_exact(DType::kBf16, 1u << 21, 1, whole.section, nowhere).ok());
  EXPECT_FALSE(decode_exact(DType::kBf16, 1u << 20, 65536, whole.section, nowhere).ok());
  EXPECT_FALSE(decode_exact(DType::kBf16, 1u << 20, 2047, whole.section, nowhere).ok());
}

}  // namespace
}  // namespace kvcast::kernels
