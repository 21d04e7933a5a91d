#include "manifests/kv_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "manifests/safetensors_writer.h"
#include "manifests/testing/temp_folder.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;
using Metadata = std::map<std::string, std::string>;

KvFileInfo sample() {
  KvFileInfo info;
  info.model.name = "pocket";
  info.model.weights = "sha";
  info.model.tokenizer = "bpe";
  info.model.adapter = "lora";
  info.model.layers = 12;
  info.model.key_heads = 2;
  info.model.key_dim = 8;
  info.model.value_heads = 1;
  info.model.value_dim = 4;
  info.model.dtype = "BF16";
  StatedRope rope{"interleaved", 500000.5, 6, 2, {1, 1.0 / 3, 1e-5}};
  rope.attention_scaling = 0.1 + 0.2;
  info.ropes = {rope};
  state_ropes(info.ropes, info.model);
  info.tokens = 3;
  info.token_ids = {7, 0, UINT32_MAX};
  info.text = "na\xc3\xafve";
  return info;
}

std::vector<TensorPlan> plans_of(const KvFileInfo& info) {
  std::vector<TensorPlan> plans;
  const ModelIdentity& model = info.model;
  for (uint32_t layer = 0; layer < model.layers; ++layer) {
    plans.push_back(
        {key_tensor_name(layer), model.dtype, {info.tokens, model.key_heads, model.key_dim}});
    plans.push_back(
        {value_tensor_name(layer), model.dtype, {info.tokens, model.value_heads, model.value_dim}});
  }
  return plans;
}

Result<KvFileInfo> describe(const Metadata& metadata, const std::vector<TensorPlan>& plans) {
  const TempFolder folder;
  auto writer = SafetensorsWriter::create(folder / "kv", metadata, plans);
  if (!writer.ok()) return writer.error();
  if (Status committed = writer->commit(); !committed.ok()) return committed.error();
  return describe_kv_file(*SafetensorsFile::open(folder / "kv"));
}

std::string message_of(const Metadata& metadata, const std::vector<TensorPlan>& plans) {
  const auto info = describe(metadata, plans);
  if (info.ok()) return "no error";
  EXPECT_EQ(info.error().kind, ErrorKind::kCorrupt);
  return info.error().message;
}

void expect_equal(const KvFileInfo& a, const KvFileInfo& b) {
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.ropes, b.ropes);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.token_ids, b.token_ids);
  EXPECT_EQ(a.text, b.text);
}

TEST(KvFile, RoundTrips) {
  const KvFileInfo info = sample();
  const auto read = describe(kv_file_metadata(info), plans_of(info));
  ASSERT_TRUE(read.ok()) << read.error().message;
  expect_equal(*read, info);
}

TEST(KvFile, RoundTripsWithoutWhatIsOptional) {
  KvFileInfo info = sample();
  info.model.tokenizer.clear();
  info.model.adapter.clear();
  info.ropes = {};
  state_ropes(info.ropes, info.model);
  info.token_ids.clear();
  info.text.clear();
  info.model.value_heads = info.model.value_dim = 0;
  const auto read = describe(kv_file_metadata(info), plans_of(info));
  ASSERT_TRUE(read.ok()) << read.error().message;
  expect_equal(*read, info);
}

TEST(KvFile, DefaultsAreFilledIn) {
  Metadata metadata = {{"model", "m"}, {"rope", R"({"layout":"half_split","theta":10000})"}};
  auto read = describe(metadata, plans_of(sample()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->model.weights, "m");
  EXPECT_EQ(read->model.rope, (RopeParams{"half_split", 10000, 8}));
  EXPECT_TRUE(read->model.ropes.empty());
  ASSERT_EQ(read->ropes.size(), 1u);
  EXPECT_EQ(read->ropes[0].rotary_dims, 8u);
  EXPECT_FALSE(read->ropes[0].attention_scaling);
  metadata["rope"] = R"({"layout":"half_split","inv_freq":[1,0.5]})";
  read = describe(metadata, plans_of(sample()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->ropes.at(0).rotary_dims, 4u);
  EXPECT_EQ(read->ropes[0].theta, 0);
  metadata["rope"] = R"({"layout":"interleaved","theta":10000,"first_dim":6})";
  read = describe(metadata, plans_of(sample()));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->ropes.at(0).rotary_dims, 2u);
}

TEST(KvFile, LatentsHaveNoValues) {
  KvFileInfo info = sample();
  info.model.key_heads = 1;
  info.model.key_dim = 576;
  info.model.value_heads = info.model.value_dim = 0;
  StatedRope rope{"interleaved", 10000, 64, 512};
  rope.scaling = RopeScaling{"yarn", 40, 4096};
  info.ropes = {rope};
  state_ropes(info.ropes, info.model);
  std::vector<TensorPlan> plans;
  for (uint32_t layer = 0; layer < info.model.layers; ++layer) {
    plans.push_back({key_tensor_name(layer), "BF16", {3, 1, 576}});
  }
  const auto read = describe(kv_file_metadata(info), plans);
  ASSERT_TRUE(read.ok()) << read.error().message;
  expect_equal(*read, info);
  plans.push_back({value_tensor_name(2), "BF16", {3, 1, 4}});
  EXPECT_THAT(message_of(kv_file_metadata(info), plans),
              HasSubstr("tensor layers.0.value is missing, of 12 layers"));
}

TEST(KvFile, BadTensorsAreNamed) {
  const Metadata metadata = kv_file_metadata(sample());
  const auto message = [&](const std::function<void(std::vector<TensorPlan>&)>& change) {
    auto plans = plans_of(sample());  // layer i: key at 2 i, value at 2 i + 1
    change(plans);
    return message_of(metadata, plans);
  };
  EXPECT_EQ(message([](auto&) {}), "no error");
  EXPECT_THAT(message([](auto& p) { p.clear(); }), HasSubstr("no tensors"));
  EXPECT_THAT(message([](auto& p) { p.erase(p.begin() + 15); }),
              HasSubstr("tensor layers.7.value is missing, of 12 layers"));
  EXPECT_THAT(message([](auto& p) { p.erase(p.begin()); }), HasSubstr("layers.0.key is missing"));
  EXPECT_THAT(message([](auto& p) { p[6].shape[0] = 4; }),
              HasSubstr("layers.3.key, BF16 [4, 2, 8], differs from layers.0.key, BF16 [3, 2, 8]"));
  EXPECT_THAT(message([](auto& p) { p[7].shape[2] = 5; }), HasSubstr("tensor layers.3.value"));
  EXPECT_THAT(message([](auto& p) { p[9].dtype = "F16"; }),
              HasSubstr("tensor layers.4.value, F16"));
  EXPECT_THAT(message([](auto& p) { p[0].dtype = "F64"; }),
              HasSubstr("tensor layers.0.key, F64 [3, 2, 8]: expected element type"));
  EXPECT_THAT(message([](auto& p) {
                p[0].shape = {3, 16};
              }),
              HasSubstr("tensor layers.0.key, BF16 [3, 16]: expected the shape [tokens,"));
  EXPECT_THAT(message([](auto& p) {
                p[1].shape = {3, 1, 1, 1};
              }),
              HasSubstr("tensor layers.0.value, BF16 [3, 1, 1, 1]: expected the shape"));
  EXPECT_THAT(message([](auto& p) { p[0].shape = {0, 2, 8}; }), HasSubstr("1 to 2^36 tokens"));
  EXPECT_THAT(message([](auto& p) {
                p[0].shape = {3, 2, 0};
              }),
              HasSubstr("expected heads and dim"));
  EXPECT_THAT(message([](auto& p) { p[0].shape = {3, 1024, 65}; }), HasSubstr("65536"));
  EXPECT_THAT(message([](auto& p) { p[1].shape[0] = 4; }), HasSubstr("tensor layers.0.value: "));
  for (const char* name : {"layers.01.key", "layers.1024.key", "layers.0.keys", "layers..key",
                           "layers.-1.key", "lm_head", "layers.99999999999.key"}) {
    EXPECT_THAT(message([&](auto& p) {
                  p.push_back({name, "F32", {1}});
                }),
                HasSubstr(std::string("tensor ") + name + " is no part of a KV cache"));
  }
}

TEST(KvFile, BadMetadataIsNamed) {
  const auto message = [](const char* key, const char* value) {
    Metadata metadata = kv_file_metadata(sample());
    if (value == nullptr) metadata.erase(key);
    if (value != nullptr) metadata[key] = value;
    return message_of(metadata, plans_of(sample()));
  };
  EXPECT_THAT(message("rope", nullptr), HasSubstr("metadata rope: missing"));
  EXPECT_THAT(message("tokens", "[1,2]"), HasSubstr("metadata tokens: document: 2 elements"));
  EXPECT_THAT(message("tokens", "[1,2,-3]"), HasSubstr("metadata tokens: [2]: found -3"));
  EXPECT_THAT(message("tokens", "[1,2,3,4,5,6,7]"), HasSubstr("metadata tokens: more than"));
  EXPECT_THAT(message("tokens", "1 2 3"), HasSubstr("metadata tokens: not JSON"));
  EXPECT_THAT(message("adapter", std::string(1025, 'a').c_str()), HasSubstr("metadata adapter"));
  const std::vector<std::pair<const char*, const char*>> ropes = {
      {"{}", "layout: missing"},
      {R"({"layout":"spiral"})", "layout: found \"spiral\""},
      {R"({"layout":"half_split"})", "expected theta above 0 or inv_freq"},
      {R"({"layout":"half_split","theta":-1})", "theta: found -1"},
      {R"({"layout":"half_split","theta":1e4,"rotary_dims":10})", "rotary_dims: found 10"},
      {R"({"layout":"half_split","theta":1e4,"rotary_dims":5})", "an even number"},
      {R"({"layout":"half_split","theta":1e4,"rotary_dims":6,"first_dim":3})",
       "first_dim + rotary"},
      {R"({"layout":"half_split","inv_freq":[1,1,1,1,1]})", "inv_freq: 5 elements"},
      {R"({"layout":"half_split","inv_freq":[1,1],"rotary_dims":2})", "two for each of inv_freq"},
      {R"({"layout":"half_split","theta":1e4,"attention_scaling":0})",
       "attention_scaling: found 0"},
      {"[", "not JSON"}};
  for (const auto& [rope, expected] : ropes) {
    EXPECT_THAT(message("rope", rope), HasSubstr("metadata rope: ")) << rope;
    EXPECT_THAT(message("rope", rope), HasSubstr(expected)) << rope;
  }
  Metadata nameless = kv_file_metadata(sample());
  nameless.erase("model");
  nameless.erase("weights");
  EXPECT_THAT(message_of(nameless, plans_of(sample())), HasSubstr("metadata model: missing"));
}

}  // namespace
}  // namespace kvcast::manifests
