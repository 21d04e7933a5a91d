#include "manifests/layout.h"

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>

namespace kvcast::manifests {
namespace {

TEST(Layout, PathsOfTheFormatPage) {
  Digest digest;
  digest.bytes.fill(std::byte{0xab});
  const std::string hex = digest.hex();
  EXPECT_EQ(tenant_root("public"), "t/public/");
  EXPECT_EQ(manifest_path("a", "doc-1"), "t/a/m/doc-1.json");
  EXPECT_EQ(object_path("a", digest), "t/a/o/ab/" + hex + ".kvo");
  EXPECT_EQ(object_path_in_tenant(digest), "o/ab/" + hex + ".kvo");
  EXPECT_EQ(prefix_path("a", "llama", digest), "t/a/k/llama/" + hex);
  EXPECT_EQ(lookup_path("a", "llama"), "t/a/k/llama:longest");
}

TEST(Layout, NamesThatCouldLeaveTheRootAreRefused) {
  for (const std::string_view bad : {"", ".", "..", ".hidden", "a/b", "/", "a\\b", "a b", "a%2e",
                                     "\xc3\xa9", "a\n", "~", "a:b"}) {
    EXPECT_FALSE(is_valid_name(bad)) << bad;
    EXPECT_THROW(tenant_root(bad), std::invalid_argument) << bad;
    EXPECT_THROW(manifest_path("public", bad), std::invalid_argument) << bad;
    EXPECT_THROW(manifest_path(bad, "x"), std::invalid_argument) << bad;
    EXPECT_THROW(object_path(bad, {}), std::invalid_argument) << bad;
    EXPECT_THROW(prefix_path(bad, "w", {}), std::invalid_argument) << bad;
  }
  EXPECT_FALSE(is_valid_name(std::string_view("a\0b", 3)));
  EXPECT_TRUE(is_valid_name(std::string(64, 'a')));
  EXPECT_FALSE(is_valid_name(std::string(65, 'a')));
  EXPECT_TRUE(is_valid_name("A.b_c-9.."));
}

TEST(Layout, AnyWeightsIdBecomesOneSafeComponent) {
  EXPECT_EQ(model_component("Llama-3.1-8B"), "Llama-3.1-8B");
  EXPECT_EQ(model_component("meta-llama/Llama").size(), 32u);
  std::mt19937 random(2);
  for (int i = 0; i < 2000; ++i) {
    std::string weights(random() % 80, ' ');
    for (char& c : weights) c = static_cast<char>(random() % 3 ? "./\\a"[random() % 4] : random());
    EXPECT_TRUE(is_valid_name(model_component(weights))) << weights;
  }
}

}  // namespace
}  // namespace kvcast::manifests
