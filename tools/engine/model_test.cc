#include "tools/engine/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tools/engine/testing/tiny_model.h"

namespace kvcast::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TinyModel;

std::string error_of(TinyModel model, const std::string& folder) {
  testing::write_model(model, folder);
  const auto loaded = Model::load(folder);
  return loaded.ok() ? "no error" : loaded.error().message;
}

TEST(Model, LoadsThePocketModel) {
  const auto model = Model::load(std::string(KVCAST_SOURCE_DIR) + "/tests/data/pocket-lm/");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->name(), "pocket-lm");
  EXPECT_EQ(model->config().bos, 2047u);
  EXPECT_TRUE(model->config().tied_embeddings);
  // sha256sum of the two files
  EXPECT_EQ(model->weights_id(),
            "6b95c441054c2ebfeb430e71c7fe6abe3424e198cb973b0a959d0cceaaed56f7");
  EXPECT_EQ(model->tokenizer_id(),
            "edd35eba512bb666ab09f3b38b70732a4bda38b7757ccf44ecf02cca4379c78b");
  const auto identity = model->identity(kernels::DType::kBf16);
  EXPECT_EQ(identity.dtype, "BF16");
  EXPECT_EQ(identity.layers, 8u);
  EXPECT_EQ(identity.key_heads, 2u);
  EXPECT_EQ(identity.value_dim, 64u);
  EXPECT_EQ(identity.rope->layout, "half_split");
}

TEST(Model, NamesTheTensorThatIsWrong) {
  const std::string folder = testing::test_folder("wrong_tensor");
  const std::string name = "model.layers.1.mlp.up_proj.weight";
  TinyModel missing = testing::make_tiny_model(1);
  missing.tensors.erase(name);
  EXPECT_THAT(error_of(missing, folder), AllOf(HasSubstr("model.safetensors"), HasSubstr(name)));

  TinyModel reshaped = testing::make_tiny_model(1);
  reshaped.tensors[name].shape = {24, 20};
  EXPECT_THAT(error_of(reshaped, folder),
              AllOf(HasSubstr(name), HasSubstr("[24, 20]"), HasSubstr("[20, 24]")));

  TinyModel integers = testing::make_tiny_model(1);
  integers.dtype = "I64";
  EXPECT_THAT(error_of(integers, folder),
              AllOf(HasSubstr("model.embed_tokens.weight"), HasSubstr("I64")));

  TinyModel untied = testing::make_tiny_model(1);
  untied.tensors.erase("lm_head.weight");
  EXPECT_THAT(error_of(untied, folder), HasSubstr("lm_head.weight"));
  untied.config["tie_word_embeddings"] = true;
  EXPECT_EQ(error_of(untied, folder), "no error");
}

TEST(Model, NamesTheFileThatIsMissing) {
  const std::string folder = testing::test_folder("missing_file");
  TinyModel model = testing::make_tiny_model(1);
  for (const std::string file : {"config.json", "tokenizer.json", "model.safetensors"}) {
    testing::write_model(model, folder);
    std::filesystem::remove(folder + "/" + file);
    const auto loaded = Model::load(folder);
    ASSERT_FALSE(loaded.ok());
    EXPECT_THAT(loaded.error().message, HasSubstr(file));
    EXPECT_EQ(loaded.error().kind, manifests::ErrorKind::kIo);
  }
  std::ofstream(folder + "/model.safetensors.index.json") << "{}";
  EXPECT_THAT(Model::load(folder).error().message, HasSubstr("several files"));
}

}  // namespace
}  // namespace kvcast::engine
