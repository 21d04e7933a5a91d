#include "manifests/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manifests/json/document.h"
#include "manifests/kv/rope.h"

namespace kvcast::manifests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr RopedKeys kKeys{6, 64, 5000};

struct Read {
  std::vector<StatedRope> ropes;
  std::string fault;
};

Read read(const json& stated, const RopedKeys& keys = kKeys) {
  Read result;
  result.ropes = read_ropes(JsonNode(stated, result.fault), keys);
  return result;
}

json parsed(const char* text) {
  return json::parse(text);
}

TEST(StatedRope, RoundTrips) {
  StatedRope rope{"interleaved", 5e5, 32, 16};
  rope.attention_scaling = 0.1 + 0.2;
  rope.layers = {0, 2, 5};
  std::vector<std::vector<StatedRope>> all = {{}, {rope}};
  for (const char* rule : {"linear", "dynamic", "yarn", "llama3", "longrope"}) {
    StatedRope scaled{"half_split", 1e4, 64};
    scaled.scaling = RopeScaling{rule, 8};
    if (scaled.scaling->rule != "linear") scaled.scaling->trained_positions = 4096;
    if (scaled.scaling->rule == "dynamic") scaled.scaling->context_tokens = 9000;
    if (scaled.scaling->rule == "yarn") {
      scaled.scaling->truncate = false;
      scaled.scaling->mscale = 0.7;
      scaled.scaling->mscale_all_dim = 0.9;
      scaled.scaling->attention_factor = 1.1;
    }
    if (scaled.scaling->rule == "longrope") {
      scaled.scaling->context_tokens = 9000;
      scaled.scaling->short_factor = std::vector<double>(32, 1.5);
      scaled.scaling->long_factor = std::vector<double>(32, 2.5);
    }
    scaled.layers = {1, 3};
    all.push_back({rope, scaled});
  }
  for (const auto& ropes : all) {
    const Read back = read(json::parse(ropes_json(ropes).dump()));
    EXPECT_EQ(back.fault, "");
    EXPECT_EQ(back.ropes, ropes) << ropes_json(ropes).dump();
  }
}

TEST(StatedRope, TakesConfigsAsTheyStand) {
  const Read llama = read(parsed(R"({"layout":"half_split","config":{"rope_theta":500000.0,
      "max_position_embeddings":131072,"hidden_size":4096,"torch_dtype":"bfloat16","rope_scaling":
      {"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,
       "original_max_position_embeddings":8192,"rope_type":"llama3"}}})"));
  ASSERT_EQ(llama.fault, "");
  ASSERT_EQ(llama.ropes.size(), 1u);
  EXPECT_EQ(llama.ropes[0].theta, 500000);
  EXPECT_EQ(llama.ropes[0].rotary_dims, 64u);
  EXPECT_EQ(llama.ropes[0].scaling->trained_positions, 8192);

  const Read gptj = read(parsed(R"({"layout":"interleaved","config":{"rotary_dim":20}})"));
  ASSERT_EQ(gptj.fault, "");
  EXPECT_EQ(gptj.ropes.at(0), (StatedRope{"interleaved", 10000, 20}));

  const Read deepseek = read(parsed(R"({"layout":"interleaved","config":{"kv_lora_rank":512,
      "qk_rope_head_dim":64,"qk_nope_head_dim":128,"rope_theta":10000,"max_position_embeddings":
      163840,"rope_scaling":{"beta_fast":32,"beta_slow":1,"factor":40,"mscale":1.0,"mscale_all_dim":
      1.0,"original_max_position_embeddings":4096,"type":"yarn"}}})"),
                             {61, 576, 100});
  ASSERT_EQ(deepseek.fault, "");
  EXPECT_EQ(deepseek.ropes.at(0).first_dim, 512u);
  EXPECT_EQ(deepseek.ropes[0].rotary_dims, 64u);
  EXPECT_EQ(deepseek.ropes[0].scaling->mscale_all_dim, 1);

  const Read dynamic =
      read(parsed(R"({"layout":"half_split","config":{"max_position_embeddings":2048,
      "rope_scaling":{"type":"dynamic","factor":2.0}}})"));
  ASSERT_EQ(dynamic.fault, "");
  EXPECT_EQ(dynamic.ropes.at(0).scaling->trained_positions, 2048);
  EXPECT_EQ(dynamic.ropes[0].scaling->context_tokens, 5000);
}

TEST(StatedRope, OwnMembersOverruleTheConfig) {
  const Read one = read(parsed(R"({"layout":"half_split","theta":7,"first_dim":2,"rotary_dims":8,
      "layers":[1],"config":{"rope_theta":5,"partial_rotary_factor":0.5}})"));
  ASSERT_EQ(one.fault, "");
  StatedRope expected{"half_split", 7, 8, 2};
  expected.layers = {1};
  EXPECT_EQ(one.ropes, std::vector{expected});
}

TEST(StatedRope, LayersWithoutRopeAreLeftOut) {
  const Read listed =
      read(parsed(R"({"layout":"half_split","config":{"no_rope_layers":[1,1,1,0,1,1]}})"));
  ASSERT_EQ(listed.fault, "");
  EXPECT_EQ(listed.ropes.at(0).layers, (std::vector<uint32_t>{0, 1, 2, 4, 5}));
  const Read spaced =
      read(parsed(R"({"layout":"half_split","config":{"no_rope_layer_interval":4}})"));
  EXPECT_EQ(spaced.ropes.at(0).layers, (std::vector<uint32_t>{0, 1, 2, 4, 5}));
  EXPECT_EQ(read(parsed(R"({"layout":"half_split","config":{"no_rope_layers":[1,1,1,1,1,1]}})"))
                .ropes.at(0)
                .layers,
            std::vector<uint32_t>());
  EXPECT_TRUE(read(parsed(R"({"layout":"half_split","config":{"no_rope_layers":[0,0,0,0,0,0]}})"))
                  .ropes.empty());
}

TEST(StatedRope, FaultsNameThePathAndTheWayOut) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([])", "document: 0 elements"},
      {R"([{"layout":"none"}])", "[0].layout: found \"none\""},
      {R"([{"layout":"half_split","theta":1e4},{"layout":"half_split","theta":1e4,"layers":[1]}])",
       "layers in each of several"},
      {R"([{"layout":"half_split","theta":1e4,"layers":[0,1]},
           {"layout":"half_split","theta":1e4,"layers":[1]}])",
       "layer 1 is there twice"},
      {R"({"layout":"half_split","theta":1e4,"layers":[6]})", "layers[0]: found 6"},
      {R"({"layout":"half_split","theta":1e4,"layers":[2,1]})", "layers in ascending order"},
      {R"({"layout":"half_split","theta":1e4,"first_dim":64})", "first_dim + rotary_dims"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"spiral"}})", "state its inv_freq"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"linear"}})",
       "scaling.factor: missing"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"yarn","factor":4}})",
       "scaling.original_max_position_embeddings: missing"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"llama3","factor":4,
           "original_max_position_embeddings":10,"low_freq_factor":4,"high_freq_factor":4}})",
       "more than low_freq_factor"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"longrope",
           "original_max_position_embeddings":10,"short_factor":[1]}})",
       "long_factor: missing"},
      {R"({"layout":"half_split","theta":1e4,"scaling":{"type":"longrope","factor":2,
           "original_max_position_embeddings":10,"short_factor":[1],"long_factor":[1]}})",
       "1 short_factor and 1 long_factor, expected 32"},
      {R"({"layout":"half_split","config":{"rope_local_base_freq":1e4}})", "state a list"},
      {R"({"layout":"half_split","config":{"no_rope_layers":[1]}})", "6 elements"},
      {R"({"layout":"half_split","config":{"rope_parameters":{"full":{"rope_theta":1}}}})",
       "config.layer_types: missing"},
      {R"({"layout":"half_split","config":[]})", "config: found []"},
  };
  for (const auto& [text, expected] : cases) {
    EXPECT_THAT(read(parsed(text)).fault, HasSubstr(expected)) << text;
  }
}

TEST(StatedRope, ConfigsFromFilesOpenTheirErrorsWithTheName) {
  EXPECT_THAT(ropes_of_config("{", "half_split", kKeys, "m/config.json").error().message,
              HasSubstr("m/config.json"));
  EXPECT_THAT(ropes_of_config(R"({"rope_theta":"x"})", "half_split", kKeys, "m/config.json")
                  .error()
                  .message,
              HasSubstr("m/config.json: rope_theta: found \"x\""));
  EXPECT_EQ(ropes_of_config("{}", "half_split", kKeys, "m")->at(0),
            (StatedRope{"half_split", 10000, 64}));
}

}  // namespace
}  // namespace kvcast::manifests
