#include "manifests/object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>

#include "manifests/bytes/little_endian.h"
#include "manifests/object/header.h"
#include "manifests/testing/golden.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ObjectHeader plane_header() {
  ObjectHeader header;
  header.plane = 2;
  header.token_begin = 1024;
  header.token_count = 100;
  header.dtype = 2;
  header.layers = 8;
  header.key_heads = 2;
  header.key_dim = 64;
  header.value_heads = 1;
  header.value_dim = 128;
  header.profile = sha256(as_bytes("profile"));
  return header;
}

// Three sections of 5, 0 and 16 bytes: at 224, 232 and 232; 248 bytes in all.
std::vector<std::byte> small_object() {
  const std::vector<ObjectSection> sections = {
      {1, 0, 0, as_bytes("hello")}, {1, 0, 1, {}}, {2, 7, 1, as_bytes("0123456789abcdef")}};
  return write_object(plane_header(), sections);
}

std::string message_of(std::span<const std::byte> bytes) {
  const auto view = read_object(bytes, "name");
  if (view.ok()) return "no error";
  EXPECT_EQ(view.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(view.error().message, StartsWith("name: "));
  return view.error().message;
}

TEST(Object, RandomObjectsRoundTrip) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    ObjectHeader header = plane_header();
    header.kind = random() % 2 ? ObjectKind::kPlane : ObjectKind::kExact;
    if (header.kind == ObjectKind::kExact) header.plane = 0;
    if (header.kind == ObjectKind::kExact) header.profile = {};
    header.token_begin = random() % kMaxFirstToken;
    header.token_count = static_cast<uint32_t>(1 + random() % kMaxChunkTokens);
    header.dtype = static_cast<uint8_t>(1 + random() % 3);
    header.value_dim = static_cast<uint16_t>(random());
    std::vector<std::vector<std::byte>> contents(1 + random() % 20);
    std::vector<ObjectSection> sections;
    for (auto& content : contents) {
      content.resize(random() % 60);
      for (std::byte& b : content) b = static_cast<std::byte>(random());
      sections.push_back({static_cast<uint16_t>(random()), static_cast<uint16_t>(sections.size()),
                          static_cast<uint8_t>(random() % 2), content});
    }
    const auto bytes = write_object(header, sections);
    EXPECT_EQ(bytes, write_object(header, sections));
    const auto view = read_object(bytes, "x");
    ASSERT_TRUE(view.ok()) << view.error().message;
    EXPECT_EQ(view->header, header);
    ASSERT_EQ(view->sections.size(), sections.size());
    for (size_t i = 0; i < sections.size(); ++i) {
      EXPECT_EQ(view->sections[i].kind, sections[i].kind);
      EXPECT_EQ(view->sections[i].group, sections[i].group);
      EXPECT_EQ(view->sections[i].side, sections[i].side);
      EXPECT_TRUE(std::ranges::equal(view->sections[i].bytes, contents[i]));
    }
  }
}

TEST(Object, EveryTruncationAndExtensionIsRefused) {
  const auto bytes = small_object();
  for (size_t size = 0; size < bytes.size(); ++size) {
    // A copy of exactly that size, so that a sanitizer sees reads past it.
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_NE(message_of(cut), "no error") << size;
  }
  auto longer = bytes;
  longer.push_back(std::byte{0});
  EXPECT_THAT(message_of(longer), HasSubstr("249 bytes here, but the header says 248"));
}

TEST(Object, EverySingleBitFlipIsFound) {
  const auto bytes = small_object();
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    EXPECT_NE(message_of(damaged), "no error") << bit;
  }
}

TEST(Object, RandomDamageWithAGoodHeaderHashNeverRunsOut) {
  std::mt19937 random(4);
  const auto bytes = small_object();
  for (int round = 0; round < 20000; ++round) {
    auto damaged = bytes;
    for (auto flips = 1 + random() % 4; flips > 0; --flips) {
      damaged[random() % 224] = static_cast<std::byte>(random());
    }
    const auto head = std::span(damaged).first(224);
    store_le(head, kHeaderHashOffset, header_hash(head));
    const auto view = read_object(damaged, "x");
    if (!view.ok()) continue;
    for (const ObjectSection& section : view->sections) {
      EXPECT_GE(section.bytes.data(), damaged.data());
      EXPECT_LE(section.bytes.data() + section.bytes.size(), damaged.data() + damaged.size());
    }
  }
}

struct Defect {
  const char* name;  // of the golden file, where there is one
  size_t offset;
  std::vector<int> bytes;
  const char* message;
  bool rehash = true;
};

const std::vector<Defect>& defects() {
  static const std::vector<Defect> kDefects = {
      {"magic", 0, {0x88}, "no object magic at byte 0", false},
      {"version", 8, {2, 0}, "format version 2 at byte 8, this build reads version 1", false},
      {"kind", 10, {5}, "object kind 5 at byte 10"},
      {"plane_number", 11, {8}, "plane number 8 at byte 11; expected 0 to 7"},
      {"no_sections", 12, {0}, "0 sections at byte 12; expected 1 to 65536"},
      {"too_many_sections", 12, {1, 0, 1, 0}, "65537 sections at byte 12", false},
      {"sections_past_end", 12, {4, 0, 0, 0}, "4 sections at byte 12 do not fit", false},
      {"object_bytes", 16, {249}, "248 bytes here, but the header says 249"},
      {"first_token", 24, {0, 0, 0, 0, 0, 1}, "first token 1099511627776 at byte 24"},
      {"no_tokens", 32, {0}, "0 tokens at byte 32; expected 1 to 1048576"},
      {"element_type", 36, {6}, "element type 6 at byte 36; expected 1 (F16), 2 (BF16)"},
      {"reserved_37", 37, {1}, "reserved bytes 37 to 37 are not zero"},
      {"head_split", 50, {1}, "reserved bytes 48 to 55 are not zero"},
      {"header_hash", 56, {0, 0}, "the xxh3 at byte 56 does not match", false},
      {"encryption", 127, {1}, "reserved bytes 96 to 127 are not zero"},
      {"side", 132, {2}, "section 0: side 2 at byte 132; expected 0 or 1"},
      {"section_reserved", 134, {1}, "section 0: reserved bytes 133 to 135"},
      {"offset", 136, {225}, "section 0: offset 225; expected 224"},
      {"section_past_end", 144, {25}, "section 0: 25 bytes from byte 224 run past"},
      {"section_bytes_wrap",
       144,
       {255, 255, 255, 255, 255, 255, 255, 255},
       "bytes from byte 224 run past the object's end at 248"},
      {"section_hash", 152, {0}, "section 0 (kind 1, group 0, side 0; 5 bytes from byte 224)"},
      {"section_twice", 164, {0}, "section 1: kind 1, group 0, side 0 for the second time"},
      {"section_shortened", 208, {15}, "section 2 (kind 2, group 7, side 1; 15 bytes"},
      {"padding", 229, {1}, "padding before section 1, bytes 229 to 231, is not zero"},
      {"damaged_section",
       232,
       {'x'},
       "section 2 (kind 2, group 7, side 1; 16 bytes from byte 232)"},
  };
  return kDefects;
}

std::vector<std::byte> with_defect(const Defect& defect) {
  auto bytes = small_object();
  for (size_t i = 0; i < defect.bytes.size(); ++i) {
    bytes[defect.offset + i] = static_cast<std::byte>(defect.bytes[i]);
  }
  const auto head = std::span(bytes).first(224);
  if (defect.rehash) store_le(head, kHeaderHashOffset, header_hash(head));
  return bytes;
}

TEST(Object, GoldenFiles) {
  expect_golden("object/plane.kvo", small_object());
  EXPECT_EQ(message_of(golden("object/plane.kvo")), "no error");
  for (const Defect& defect : defects()) {
    const std::string name = std::string("object/bad_") + defect.name + ".kvo";
    expect_golden(name, with_defect(defect));
    EXPECT_THAT(message_of(golden(name)), HasSubstr(defect.message)) << name;
  }
}

TEST(Object, NothingHidesBehindTheLastSection) {
  auto bytes = small_object();
  const auto head = std::span(bytes).first(224);
  store_le(head, 208, uint64_t{15});
  store_le(head, 216, xxh3(std::span(bytes).subspan(232, 15)));
  store_le(head, kHeaderHashOffset, header_hash(head));
  EXPECT_THAT(message_of(bytes),
              HasSubstr("1 bytes after the last section, which ends at byte 247"));
}

TEST(Object, ProfileAndTextHeadersKeepToTheirRules) {
  const auto section = std::vector<ObjectSection>{{16, 0, 0, {}}};
  ObjectHeader profile;
  profile.kind = ObjectKind::kProfile;
  profile.layers = 8;
  EXPECT_EQ(message_of(write_object(profile, section)), "no error");
  const auto expect_refused = [&](ObjectHeader header) {
    EXPECT_THROW(write_object(header, section), std::invalid_argument);
  };
  ObjectHeader bad = profile;
  bad.dtype = 1;
  expect_refused(bad);
  bad = profile;
  bad.token_count = 1;
  expect_refused(bad);
  bad = profile;
  bad.token_begin = 1;
  expect_refused(bad);
  bad = profile;
  bad.plane = 1;
  expect_refused(bad);
  bad = profile;
  bad.profile = plane_header().profile;
  expect_refused(bad);
  bad = profile;
  bad.kind = ObjectKind::kText;
  bad.token_count = 1;
  expect_refused(bad);  // geometry
  bad.layers = 0;
  EXPECT_EQ(message_of(write_object(bad, section)), "no error");
}

TEST(Object, WriterRefusesWhatNoReaderTakes) {
  const ObjectSection section = {1, 0, 0, as_bytes("x")};
  EXPECT_THROW(write_object(plane_header(), {}), std::invalid_argument);
  const std::vector<ObjectSection> twice = {section, section};
  EXPECT_THROW(write_object(plane_header(), twice), std::invalid_argument);
  const std::vector<ObjectSection> bad_side = {{1, 0, 2, {}}};
  EXPECT_THROW(write_object(plane_header(), bad_side), std::invalid_argument);
  const std::vector<ObjectSection> many(kMaxSections + 1, section);
  EXPECT_THROW(write_object(plane_header(), many), std::invalid_argument);
}

}  // namespace
}  // namespace kvcast::manifests
