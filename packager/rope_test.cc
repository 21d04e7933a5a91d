// Frequencies against those of Hugging Face transformers: tests/golden/rope/generate.py.
#include "packager/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

namespace kvcast::packager {
namespace {

using nlohmann::json;

std::vector<json> golden_cases() {
  std::ifstream file(KVCAST_SOURCE_DIR "/tests/golden/rope/frequencies.json");
  return json::parse(file).at("cases").get<std::vector<json>>();
}

manifests::Result<std::vector<manifests::StatedRope>> read(const json& c) {
  return manifests::ropes_of_config(c.at("config").dump(), c.at("layout").get<std::string>(),
                                    {c.at("layers"), c.at("key_dim"), c.at("tokens")}, "config");
}

std::vector<uint32_t> layers_of(const manifests::StatedRope& rope, uint32_t layers) {
  if (!rope.layers.empty()) return rope.layers;
  std::vector<uint32_t> all(layers);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

TEST(KernelRope, FrequenciesAreThoseOfTransformers) {
  for (const json& c : golden_cases()) {
    const auto name = c.at("name").get<std::string>();
    const auto ropes = read(c);
    ASSERT_TRUE(ropes.ok()) << name << ": " << ropes.error().message;
    const json& expected = c.at("expected");
    ASSERT_EQ(ropes->size(), expected.size()) << name;
    for (size_t kind = 0; kind < ropes->size(); ++kind) {
      const auto rope = kernel_rope((*ropes)[kind], name);
      ASSERT_TRUE(rope.ok()) << rope.error().message;
      const auto frequencies = expected[kind].at("inv_freq").get<std::vector<double>>();
      ASSERT_EQ(rope->inv_freq.size(), frequencies.size()) << name;
      for (size_t i = 0; i < frequencies.size(); ++i) {
        EXPECT_NEAR(rope->inv_freq[i], frequencies[i], 1e-6 * frequencies[i]) << name << ' ' << i;
      }
      EXPECT_NEAR(rope->attention_scaling, expected[kind].at("attention_scaling"), 1e-12) << name;
      EXPECT_EQ(layers_of((*ropes)[kind], c.at("layers")),
                expected[kind].at("layers").get<std::vector<uint32_t>>())
          << name;
    }
  }
}

TEST(KernelRope, LatentsRotateTheirLastDims) {
  for (const json& c : golden_cases()) {
    if (c.at("name") != "deepseek_v3_latent") continue;
    const auto ropes = read(c);
    ASSERT_TRUE(ropes.ok());
    const auto rope = kernel_rope(ropes->front(), "latent");
    EXPECT_EQ(rope->first_dim, 96u);
    EXPECT_EQ(rope->inv_freq.size(), 16u);
    EXPECT_EQ(rope->layout, kernels::Rope::Layout::kInterleaved);
    return;
  }
  FAIL() << "no such case";
}

TEST(KernelRope, StatedNumbersOverrule) {
  manifests::StatedRope stated{"half_split", 10000, 4};
  stated.scaling = manifests::RopeScaling{"yarn", 4, 4096};
  EXPECT_NEAR(kernel_rope(stated, "x")->attention_scaling, 0.1 * std::log(4.0) + 1, 1e-12);
  stated.attention_scaling = 0.5;
  EXPECT_EQ(kernel_rope(stated, "x")->attention_scaling, 0.5);
  stated.inv_freq = {3, 2};
  EXPECT_EQ(kernel_rope(stated, "x")->inv_freq, (std::vector<double>{3, 2}));
}

TEST(KernelRope, FrequenciesThatAreNoNumbersAreRefused) {
  manifests::StatedRope stated{"half_split", 1, 8};  // YaRN divides by the logarithm of theta
  stated.scaling = manifests::RopeScaling{"yarn", 2, 4096};
  const auto rope = kernel_rope(stated, "kv");
  ASSERT_FALSE(rope.ok());
  EXPECT_THAT(rope.error().message, testing::HasSubstr("kv: RoPE with theta 1 over 8 dims, scaled "
                                                       "by rule yarn"));
}

}  // namespace
}  // namespace kvcast::packager
