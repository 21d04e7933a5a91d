#include "origin/http/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "origin/http/file_facts.h"
#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

std::string gunzip(const std::string& packed, size_t bytes) {
  std::string text(bytes + 1, '\0');
  z_stream stream{};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

TEST(Gzip, ComesBack) {
  for (const size_t bytes : {0u, 1u, 1000u, 300'000u}) {
    for (const std::string& text : {std::string(bytes, 'x'), testing::noise(bytes, 1)}) {
      EXPECT_TRUE(gunzip(gzip(text), bytes) == text);
      EXPECT_TRUE(gzip(text) == gzip(text));
    }
  }
  EXPECT_LT(gzip(std::string(10'000, 'x')).size(), 100u);
}

TEST(Gzip, Accepted) {
  for (const char* field : {"gzip", "GZip", "deflate, gzip", "gzip;q=0.5", "gzip; q=1.0, br",
                            "br;q=0, *", "x-gzip", "gzip ; q=0.001", ",,gzip"}) {
    EXPECT_TRUE(accepts_gzip(field)) << field;
  }
  for (const char* field : {"", "br", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;q=0, *", "gzipp",
                            "identity", ";", "gzip;q", "gzip;q=x", "\"gzip\""}) {
    EXPECT_FALSE(accepts_gzip(field)) << field;
  }
}

TEST(FileFacts, OfAManifestAndItsGzipForm) {
  const FileFacts facts = describe_file("t/a/m/x.json", {5000, -1, 7});
  EXPECT_EQ(facts.kind, FileKind::kManifest);
  EXPECT_EQ(facts.last_modified_s, -1);
  EXPECT_EQ(facts.last_modified, "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_TRUE(facts.varies_by_encoding);
  const FileFacts packed = describe_gzip(facts, 900);
  EXPECT_EQ(packed.bytes, 900u);
  EXPECT_EQ(packed.content_encoding, "gzip");
  EXPECT_NE(packed.entity_tag, facts.entity_tag);
  EXPECT_TRUE(packed.entity_tag.ends_with("-gzip\"")) << packed.entity_tag;
}

TEST(FileFacts, WhatIsNotWorthCompressing) {
  EXPECT_FALSE(describe_file("t/a/m/x.json", {100, 0, 7}).varies_by_encoding);
  EXPECT_FALSE(describe_file("t/a/m/x.json", {100u << 20, 0, 7}).varies_by_encoding);
  EXPECT_FALSE(describe_file("x.json", {5000, 0, 7}).varies_by_encoding);
}

}  // namespace
}  // namespace kvcast::origin
