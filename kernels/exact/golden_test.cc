// Version 1 of exact sections: the worked example of exact_format.md and the vectors of
// tests/golden/exact.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kernels/bytes/golden.h"
#include "kernels/exact.h"

namespace kvcast::kernels {
namespace {

using Bytes = std::vector<std::byte>;

Bytes as_bf16(const std::vector<float>& values) {
  Bytes bytes(2 * values.size());
  store_f32(DType::kBf16, values, bytes.data());
  return bytes;
}

TEST(ExactGolden, WorkedExample) {
  const Bytes tensor = as_bf16({1.0f, -2.0f, 1.5f, 0.0f});
  const auto tables = worked_example("kernels/exact_format.md");
  ASSERT_EQ(tables.size(), 1u);
  EXPECT_EQ(tables[0], encode_exact(DType::kBf16, 2, 2, {tensor.data(), 4}));
  Bytes back(8);
  const Check decoded = decode_exact(DType::kBf16, 2, 2, tables[0], {back.data(), 4});
  ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
  EXPECT_EQ(back, tensor);
}

constexpr uint32_t kTokens = 700, kChannels = 45;

uint32_t mantissa_bits_of(DType dtype) {
  switch (dtype) {
    case DType::kF16:
      return 10;
    case DType::kBf16:
      return 7;
    case DType::kF32:
      return 23;
    case DType::kF8E4M3:
      return 3;
    case DType::kF8E5M2:
      return 2;
  }
  return 0;
}

// Exponents around one a channel, now and then any bits at all; integers only, the same everywhere.
Bytes tensor_of(DType dtype) {
  std::mt19937 random(2024);
  const bool narrow = dtype == DType::kF16 || dtype == DType::kF8E5M2;
  const uint32_t mantissa_bits = mantissa_bits_of(dtype);
  const uint32_t middle = dtype == DType::kF8E4M3 ? 5 : narrow ? 12 : 120;
  Bytes bytes;
  for (uint32_t i = 0; i < kTokens * kChannels; ++i) {
    const auto any = static_cast<uint32_t>(random());
    const uint32_t spread = (any & 1) + (any >> 1 & 1) + (any >> 2 & 1) + (any >> 3 & 1);
    const uint32_t exponent = middle + i % kChannels / 16 + spread;
    uint32_t bits = exponent << mantissa_bits | (any >> 8 & ((1u << mantissa_bits) - 1));
    if (any >> 25 == 0) bits = static_cast<uint32_t>(random());
    for (size_t b = 0; b < dtype_bytes(dtype); ++b) {
      bytes.push_back(static_cast<std::byte>(bits >> 8 * b));
    }
  }
  return bytes;
}

std::string file_of(DType dtype) {
  std::string name = dtype_name(dtype);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return static_cast<char>(std::tolower(c)); });
  return "exact/" + name + "_700x45.bin";
}

TEST(ExactGolden, GoodSections) {
  for (const DType dtype : kDTypes) {
    const Bytes tensor = tensor_of(dtype);
    const size_t stride = kChannels * dtype_bytes(dtype);
    const Bytes section =
        golden(file_of(dtype), encode_exact(dtype, kTokens, kChannels, {tensor.data(), stride}));
    ASSERT_FALSE(section.empty()) << file_of(dtype);
    Bytes back(tensor.size());
    const Check decoded = decode_exact(dtype, kTokens, kChannels, section, {back.data(), stride});
    ASSERT_TRUE(decoded.ok()) << decoded.fault().what;
    EXPECT_EQ(back, tensor);
  }
}

// The worked example with one field changed.
struct Defect {
  const char* name;
  size_t offset;
  uint8_t byte;
  const char* message;
};

constexpr Defect kDefects[] = {
    {"no_tables", 8, 0, "1 to 8 tables"},
    {"nine_tables", 8, 9, "1 to 8 tables"},
    {"more_streams_than_groups", 0, 2, "more streams than channel groups"},
    {"no_streams", 0, 0, "streams do not hold every group"},
    {"more_escapes_than_elements", 4, 5, "more escapes than elements"},
    {"escape_unlisted", 4, 0, "more escapes than the section"},
    {"reserved_byte", 12, 1, "not zero"},
    {"alphabet_of_one", 17, 1, "alphabet"},
    {"alphabet_of_33", 17, 33, "alphabet"},
    {"exponents_above_255", 16, 255, "exponents the type has not"},
    {"frequencies_sum_to_4097", 20, 1, "4096"},
    {"group_names_no_table", 28, 1, "table that is not there"},
    {"padding", 29, 1, "not zero"},
    {"stream_past_the_end", 32, 200, "ends early"},
    {"half_a_word", 32, 7, "states"},
    {"stream_of_no_groups", 36, 0, "tile"},
    {"stream_of_two_groups", 36, 2, "tile"},
    {"fewer_escapes_than_listed", 40, 0, "fewer escapes"},
    {"state_too_low", 46, 0, "below 65536"},
    {"wrong_final_state", 46, 5, "final state"},
};

TEST(ExactGolden, BadSections) {
  for (const Defect& defect : kDefects) {
    Bytes fresh = worked_example("kernels/exact_format.md").at(0);
    fresh[defect.offset] = static_cast<std::byte>(defect.byte);
    const Bytes section = golden(std::string("exact/bad_") + defect.name + ".bin", fresh);
    ASSERT_FALSE(section.empty()) << defect.name;
    Bytes back(8);
    const Check decoded = decode_exact(DType::kBf16, 2, 2, section, {back.data(), 4});
    ASSERT_FALSE(decoded.ok()) << defect.name;
    EXPECT_THAT(decoded.fault().what, testing::HasSubstr(defect.message)) << defect.name;
  }
}

}  // namespace
}  // namespace kvcast::kernels
