#include "tools/engine/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

json good_config() {
  return testing::make_tiny_model(1).config;
}

std::string error_of(const json& config) {
  const auto result = parse_config(config.dump(), "x/config.json");
  return result.ok() ? "no error" : result.error().message;
}

TEST(Config, ReadsSizesAndSpecialTokens) {
  const auto config = parse_config(good_config().dump(), "c");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->layers, 2u);
  EXPECT_EQ(config->query_channels(), 32u);
  EXPECT_EQ(config->kv_channels(), 16u);
  EXPECT_EQ(config->bos, 1u);
  EXPECT_EQ(config->eos, (std::vector<uint32_t>{2, 3}));
  ASSERT_EQ(config->rope.inv_freq.size(), 4u);
  EXPECT_DOUBLE_EQ(config->rope.inv_freq[1], std::pow(100.0, -0.25));
  EXPECT_FALSE(config->stated_rope.scaling);
}

TEST(Config, DerivesWhatOlderFilesLeaveOut) {
  json text = good_config();
  text.erase("head_dim");
  text.erase("num_key_value_heads");
  text.erase("rope_theta");
  text["eos_token_id"] = 7;
  text["bos_token_id"] = nullptr;
  const auto config = parse_config(text.dump(), "c");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->head_dim, 6u);
  EXPECT_EQ(config->kv_heads, 4u);
  EXPECT_EQ(config->stated_rope.theta, 10000.0);
  EXPECT_EQ(config->eos, std::vector<uint32_t>{7});
  EXPECT_FALSE(config->bos.has_value());
}

TEST(Config, ScalesRopeLinearly) {
  json text = good_config();
  text["rope_scaling"] = {{"type", "linear"}, {"factor", 4.0}};
  const auto config = parse_config(text.dump(), "c");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->stated_rope.scaling->rule, "linear");
  EXPECT_DOUBLE_EQ(config->rope.inv_freq[0], 0.25);
}

TEST(Config, ScalesRopeAsLlama3) {
  json text = good_config();
  text["rope_parameters"] = {{"rope_type", "llama3"},   {"rope_theta", 10000.0},
                             {"factor", 8.0},           {"low_freq_factor", 1.0},
                             {"high_freq_factor", 4.0}, {"original_max_position_embeddings", 128}};
  const auto config = parse_config(text.dump(), "c");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->stated_rope.theta, 10000.0);
  // Turns over 128 positions: 20.4 (kept), 2.04 (blended), 0.204 and 0.0204 (divided by the
  // factor).
  const double turns = 128 * 0.1 / (2 * M_PI), smooth = (turns - 1) / 3;
  EXPECT_DOUBLE_EQ(config->rope.inv_freq[0], 1.0);
  EXPECT_NEAR(config->rope.inv_freq[1], 0.1 * smooth + 0.1 / 8 * (1 - smooth), 1e-15);
  EXPECT_NEAR(config->rope.inv_freq[2], 0.01 / 8, 1e-15);
  EXPECT_NEAR(config->rope.inv_freq[3], 0.001 / 8, 1e-15);
}

TEST(Config, ScalesRopeAsYarn) {
  json text = good_config();
  text["rope_scaling"] = {
      {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  const auto config = parse_config(text.dump(), "c");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_NEAR(config->rope.attention_scaling, 0.1 * std::log(4.0) + 1, 1e-12);
  EXPECT_DOUBLE_EQ(config->rope.inv_freq[0], 1.0);
}

TEST(Config, RefusesByName) {
  const std::vector<std::pair<json, std::string>> changes = {
      {{{"attention_bias", true}}, "attention_bias"},
      {{{"mlp_bias", true}}, "mlp_bias"},
      {{{"hidden_act", "gelu"}}, "gelu"},
      {{{"model_type", "qwen2"}}, "qwen2"},
      {{{"hidden_size", 0}}, "hidden_size"},
      {{{"hidden_size", -3}}, "hidden_size"},
      {{{"hidden_size", kMaxHidden + 1}}, "hidden_size"},
      {{{"num_hidden_layers", nullptr}}, "num_hidden_layers"},
      {{{"vocab_size", "40"}}, "vocab_size"},
      {{{"num_key_value_heads", 3}}, "num_key_value_heads"},
      {{{"head_dim", 7}}, "head_dim"},
      {{{"rms_norm_eps", 0}}, "rms_norm_eps"},
      {{{"bos_token_id", 40}}, "bos_token_id"},
      {{{"eos_token_id", {1, -1}}}, "eos_token_id"},
      {{{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2}}}}, "dynamic"},
      {{{"rope_scaling", {{"rope_type", "spiral"}, {"factor", 2}}}}, "spiral"},
      {{{"no_rope_layers", {1, 0}}}, "differs between layers"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "factor"},
      {{{"partial_rotary_factor", 0.5}}, "part of a head"},
      {{{"quantization_config", {{"bits", 4}}}}, "quantization_config"},
  };
  for (const auto& [change, named] : changes) {
    json config = good_config();
    config.update(change);
    EXPECT_THAT(error_of(config), AllOf(HasSubstr("x/config.json"), HasSubstr(named))) << change;
  }
  EXPECT_THAT(error_of(json::array()), HasSubstr("x/config.json"));
}

}  // namespace
}  // namespace kvcast::engine
