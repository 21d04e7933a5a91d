// The vectors of tests/golden/plane: bytes and coefficients of version 1, which no implementation
// may change. With KVCAST_WRITE_GOLDEN=1 in the environment the test writes them anew instead.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernels/plane.h"

namespace kvcast::kernels {
namespace {

using Bytes = std::vector<std::byte>;

constexpr TokenRange kTokens{2, 42};  // two sinks, 40 coded tokens
constexpr uint32_t kLayers = 2, kHeads = 2, kDim = 20, kWidth = kLayers * kHeads * kDim;

// 4 x 4 Hadamard matrices halved: orthonormal, and exact in bf16. Coded order runs backwards.
SectionCodec hadamard_codec() {
  SectionCodec codec;
  codec.step = 0.25f;
  codec.rounding = 0.375f;
  codec.drop_bits = {3, 2, 1, 0};
  for (uint32_t c = 0; c < kWidth; ++c) {
    codec.mean.push_back(static_cast<float>(c % 5) * 0.125f);
    codec.scale.push_back(c % 2 == 0 ? 1.0f : 2.0f);
    codec.order.push_back(kWidth - 1 - c);
  }
  for (uint32_t first = 0; first < kWidth; first += 4) {
    TransformBlock block{first, 4, 4, {}};
    for (const int sign : {1, 1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1}) {
      block.basis.push_back(f32_to_bf16(0.5f * static_cast<float>(sign)));
    }
    codec.blocks.push_back(block);
  }
  return codec;
}

Profile golden_profile() {
  Profile profile;
  profile.geometry = {kLayers, kHeads, kDim, kHeads, kDim};
  profile.groups = {{0, kLayers}};
  profile.layer_rope.assign(kLayers, kNoRope);
  profile.sections = {hadamard_codec(), hadamard_codec()};
  ScaleClass narrow;
  narrow.base.frequency = {96, 3900, 80, 20};
  narrow.passes = {{{{{3600, 256, 240}}, {{2048, 2048}}, {{2100, 1996}}}},
                   {{{{3000, 548, 548}}, {{2500, 1596}}, {{2100, 1996}}}},
                   {{{{2000, 1048, 1048}}, {{2600, 1496}}, {{2100, 1996}}}}};
  narrow.reconstruction = {{0.25f, 0.5f}, {0.25f, 0.5f}, {0.3f, 0.4f}, {0.35f, 0.45f}};
  ScaleClass wide = narrow;
  wide.base.frequency = {40, 80, 150, 300, 600, 1756, 600, 300, 150, 80, 30, 10};
  wide.passes[2] = {{{{1366, 1365, 1365}}, {{2148, 1948}}, {{2048, 2048}}}};
  profile.classes = {narrow, wide};
  return profile;
}

// Multiples of 1/8 from a linear congruential generator: up to 16 in the wide group's channels, 2
// in others, and a few of 1000 that escape. The second layer's channels from 8 on are their means,
// so that the first channel group is empty.
std::vector<Bytes> golden_values() {
  const std::vector<float> mean = hadamard_codec().mean;
  std::vector<Bytes> layers;
  uint32_t state = 12345;
  for (uint32_t layer = 0; layer < kLayers; ++layer) {
    layers.emplace_back(size_t{kTokens.count} * kHeads * kDim * 4);
    for (uint32_t i = 0; i < kTokens.count * kHeads * kDim; ++i) {
      const uint32_t channel = i % (kHeads * kDim);
      state = state * 1664525u + 1013904223u;
      const uint32_t eighths = layer == 0 && channel >= 16 ? 128 : 16;
      float value = static_cast<float>(static_cast<int32_t>((state >> 16) % (2 * eighths)) -
                                       static_cast<int32_t>(eighths)) /
                    8;
      if (state >> 24 == 77) value = 1000;
      if (layer == 1 && channel >= 8) value = mean[kHeads * kDim + channel];
      store_f32(DType::kF32, {&value, 1}, layers[layer].data() + size_t{4} * i);
    }
  }
  return layers;
}

void compare_or_write(const std::string& name, std::span<const std::byte> bytes) {
  const std::filesystem::path path =
      std::filesystem::path(KVCAST_SOURCE_DIR) / "tests/golden/plane" / name;
  if (std::getenv("KVCAST_WRITE_GOLDEN")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string golden((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(golden.empty()) << path;
  ASSERT_EQ(golden, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())) << path;
}

TEST(PlaneGolden, BytesAndCoefficients) {
  const Profile profile = golden_profile();
  ASSERT_TRUE(validate(profile).ok()) << validate(profile).fault().what;
  const Codec codec(profile);
  const std::vector<Bytes> values = golden_values();
  std::vector<TensorView> views;
  for (const Bytes& layer : values) views.push_back({layer.data(), kHeads * kDim * 4});
  const auto encoded = encode_section(codec, 0, Side::kValue, kTokens, DType::kF32, views);
  ASSERT_TRUE(encoded.ok()) << encoded.fault().what;
  compare_or_write("sinks.bin",
                   encode_sinks(profile, 0, Side::kValue, kTokens, DType::kF32, views));
  std::vector<std::span<const std::byte>> planes;
  for (const Bytes& plane : encoded->planes) {
    const std::string number = std::to_string(planes.size());
    planes.push_back(plane);
    compare_or_write((planes.size() == 1 ? "base" : "refinement" + number) + ".bin", plane);
    const auto coefficients = decode_coefficients(codec, 0, Side::kValue, kTokens, planes);
    ASSERT_TRUE(coefficients.ok()) << coefficients.fault().what;
    compare_or_write("coefficients" + number + ".bf16", std::as_bytes(std::span(*coefficients)));
  }
}

}  // namespace
}  // namespace kvcast::kernels
