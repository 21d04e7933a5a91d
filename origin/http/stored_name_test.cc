#include "origin/http/stored_name.h"

#include <gtest/gtest.h>

#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

TEST(StoredName, SaysWhatAPathMeansAndBack) {
  const manifests::Digest digest = manifests::sha256({});
  for (const auto& [path, kind] :
       {std::pair{manifests::object_path("acme", digest), FileKind::kObject},
        {manifests::manifest_path("acme", "chat"), FileKind::kManifest},
        {manifests::prefix_path("acme", "llama", digest), FileKind::kPrefixEntry}}) {
    const auto name = parse_stored_name(path);
    ASSERT_TRUE(name) << path;
    EXPECT_EQ(name->kind, kind);
    EXPECT_EQ(name->tenant, "acme");
    EXPECT_EQ(name->path(), path);
  }
}

TEST(StoredName, NothingElseMayBeWritten) {
  const std::string hex = manifests::sha256({}).hex();
  for (const std::string& path : {std::string(),
                                  std::string("t"),
                                  std::string("t/acme"),
                                  std::string("t/acme/m"),
                                  std::string("t/acme/m/x"),
                                  std::string("t/acme/m/.json"),
                                  std::string("t/acme/m/..json"),
                                  std::string("t/acme/m/a b.json"),
                                  std::string("t/acme/m/x/y.json"),
                                  std::string("x/acme/m/x.json"),
                                  std::string("t/a b/m/x.json"),
                                  "t/acme/o/" + hex.substr(2, 2) + "/" + hex + ".kvo",
                                  "t/acme/o/" + hex + ".kvo",
                                  "t/acme/o/" + hex.substr(0, 2) + "/" + hex,
                                  "t/acme/k/" + hex,
                                  "t/acme/k/a b/" + hex,
                                  "t/acme/k/x/" + hex.substr(1),
                                  "t/acme/k/x/y/" + hex,
                                  "t/acme/x/y/" + hex + ".kvo",
                                  "t/acme/o/" + hex.substr(0, 2) + "/" + hex + ".kvo/x"}) {
    EXPECT_FALSE(parse_stored_name(path)) << path;
  }
}

TEST(StoredName, Lookups) {
  const auto name = parse_lookup_name("t/acme/k/llama:longest");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->tenant, "acme");
  EXPECT_EQ(name->model, "llama");
  for (const char* path : {"t/acme/k/llama", "t/acme/k/:longest", "t/acme/m/x:longest",
                           "t/acme/k/a:b:longest", "t/acme/k/x/llama:longest", "k/llama:longest"}) {
    EXPECT_FALSE(parse_lookup_name(path)) << path;
  }
}

}  // namespace
}  // namespace kvcast::origin
