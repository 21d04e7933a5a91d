#include "origin/http/file_kind.h"

#include <gtest/gtest.h>

#include "manifests/digest.h"
#include "manifests/layout.h"

namespace kvcast::origin {
namespace {

const manifests::Digest kDigest = manifests::sha256({});

TEST(FileKind, ByTheStoresLayout) {
  const std::string object = manifests::object_path("public", kDigest);
  EXPECT_EQ(file_kind(object), FileKind::kObject);
  EXPECT_EQ(file_kind(manifests::manifest_path("acme", "chat-1")), FileKind::kManifest);
  EXPECT_EQ(file_kind(manifests::prefix_path("acme", "model", kDigest)), FileKind::kPrefixEntry);
  const std::string hex = kDigest.hex();
  for (const std::string& path :
       {"x/" + object, object + "/x", "t/public/o/00/" + hex + ".kvo", "t/public/o/" + hex + ".kvo",
        hex + ".kvo", "t/public/o/e3/" + hex, std::string("t/public/m/a/b.json"),
        std::string("t/public/m/a.txt"), "t/.x/o/e3/" + hex + ".kvo", "t/public/k/" + hex,
        std::string("t"), std::string()}) {
    EXPECT_EQ(file_kind(path), FileKind::kOther) << path;
  }
}

TEST(FileKind, Caching) {
  EXPECT_EQ(cache_control(FileKind::kObject), "public, max-age=31536000, immutable");
  EXPECT_EQ(cache_control(FileKind::kManifest), "max-age=5, stale-while-revalidate=60");
  EXPECT_EQ(cache_control(FileKind::kPrefixEntry), "max-age=5, stale-while-revalidate=60");
  EXPECT_EQ(cache_control(FileKind::kOther), "no-cache");
}

TEST(FileKind, ContentTypes) {
  EXPECT_EQ(content_type(FileKind::kManifest, "t/public/m/a.json"), "application/json");
  EXPECT_EQ(content_type(FileKind::kPrefixEntry, "t/public/k/m/abc"), "application/json");
  EXPECT_EQ(content_type(FileKind::kObject, "a.kvo"), "application/octet-stream");
  EXPECT_EQ(content_type(FileKind::kOther, "a.html"), "text/html; charset=utf-8");
  EXPECT_EQ(content_type(FileKind::kOther, "a.b/c"), "application/octet-stream");
  EXPECT_EQ(content_type(FileKind::kOther, "a.unknown"), "application/octet-stream");
}

TEST(FileKind, TagsOfObjectsAreTheirDigests) {
  const std::string tag = '"' + kDigest.hex() + '"';
  EXPECT_EQ(entity_tag("t/public/o/e3/" + kDigest.hex() + ".kvo", {1, 2, 3}), tag);
  EXPECT_EQ(entity_tag(kDigest.hex() + ".kvo", {4, 5, 6}), tag);
}

TEST(FileKind, OtherTagsChangeWithSizeTimeAndInode) {
  const std::string tag = entity_tag("a.json", {1, 2, 3});
  EXPECT_EQ(tag, "\"1-2-3\"");
  EXPECT_EQ(entity_tag("b.json", {1, 2, 3}), tag);
  EXPECT_NE(entity_tag("a.json", {2, 2, 3}), tag);
  EXPECT_NE(entity_tag("a.json", {1, 3, 3}), tag);
  EXPECT_NE(entity_tag("a.json", {1, 2, 4}), tag);
  EXPECT_NE(entity_tag(kDigest.hex().substr(1) + ".kvo", {1, 2, 3}),
            entity_tag("x.kvo", {2, 2, 3}));
}

}  // namespace
}  // namespace kvcast::origin
