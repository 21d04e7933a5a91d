// What read_manifest refuses, and that it says where.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "manifests/manifest.h"
#include "manifests/testing/golden.h"
#include "manifests/testing/sample.h"

namespace kvcast::manifests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string message_of(std::string_view text) {
  const auto manifest = read_manifest(text, "m.json");
  if (manifest.ok()) return "no error";
  EXPECT_EQ(manifest.error().kind, ErrorKind::kCorrupt);
  EXPECT_THAT(manifest.error().message, StartsWith("m.json: "));
  EXPECT_LT(manifest.error().message.size(), 1000u);
  return manifest.error().message;
}

// Without the checksum, which would hide what else is wrong.
json parsed(const Manifest& manifest) {
  json document = json::parse(write_manifest(manifest));
  document.erase("checksum");
  return document;
}

// Every value inside `value`: its place, its path in an error, and its last key without indices.
struct Place {
  json::json_pointer pointer;
  std::string path, key;
};

void collect(const json& value, const Place& here, std::vector<Place>& places) {
  if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      const Place place = {here.pointer / key, here.path + (here.path.empty() ? "" : ".") + key,
                           key};
      places.push_back(place);
      collect(member, place, places);
    }
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i) {
      const Place place = {here.pointer / i, fmt::format("{}[{}]", here.path, i), here.key};
      places.push_back(place);
      collect(value[i], place, places);
    }
  }
}

std::vector<Place> places_of(const json& document) {
  std::vector<Place> places;
  collect(document, Place(), places);
  return places;
}

TEST(ManifestFault, EveryMissingFieldIsNamed) {
  const std::set<std::string> optional = {"expires",   "floor_level", "text",      "adapter",
                                          "agreement", "exact",       "signature", "encryption"};
  for (const Manifest& manifest : {sample_manifest(2, 2), example_manifest()}) {
    const json document = parsed(manifest);
    for (const Place& place : places_of(document)) {
      json changed = document;
      json& parent = changed[place.pointer.parent_pointer()];
      if (!parent.is_object()) continue;
      parent.erase(place.key);
      const std::string message = message_of(changed.dump());
      if (optional.contains(place.key)) {
        // An adapter is no part of the codec string, nor are the others: all of it stays readable.
        EXPECT_EQ(message, "no error") << place.path;
      } else if (place.path == "text.object") {
        EXPECT_EQ(message, "m.json: text.tokens: missing");
      } else {
        EXPECT_EQ(message, "m.json: " + place.path + ": missing");
      }
    }
  }
}

TEST(ManifestFault, EveryValueOfAnotherTypeIsNamed) {
  for (const Manifest& manifest : {sample_manifest(2, 2), example_manifest()}) {
    const json document = parsed(manifest);
    for (const Place& place : places_of(document)) {
      for (const json& other : {json("x"), json(-7), json(2.5), json(true), json(json::array()),
                                json(json::object())}) {
        json changed = document;
        json& value = changed[place.pointer];
        const bool same_type =
            value.type() == other.type() || (value.is_number_float() && other.is_number());
        if (same_type) continue;
        value = other;
        EXPECT_THAT(message_of(changed.dump()), HasSubstr("m.json: " + place.path)) << other;
      }
    }
  }
}

struct Change {
  const char* pointer;
  json value;
  const char* message;
};

TEST(ManifestFault, EveryRuleHasItsMessage) {
  const json document = parsed(example_manifest());
  ASSERT_EQ(message_of(document.dump()), "no error");
  const std::string digest(64, 'a');
  const std::vector<Change> changes = {
      {"/kvcast", 2, "kvcast: another manifest version; this build reads version 1"},
      {"/codec", "kvc.2.x", "another major version; this build decodes \"kvc.1.*\": use the"},
      {"/codec", "av01", "codec: \"av01\" is not a kvcast codec"},
      {"/codec", "kvc.1.F16.8.2x64.2x64.half_split",
       "expected \"kvc.1.BF16.8.2x64.2x64.half_split\", as the model says"},
      {"/model/geometry/layers", 9, "codec: found"},
      {"/model/rope", nullptr, "codec: found"},
      {"/signature", "x", "signature: this build cannot honour it"},
      {"/encryption", json::object(), "encryption: this build cannot honour it"},
      {"/id", "../up", "id: found \"../up\", expected 1 to 64 of"},
      {"/id", "", "id: found"},
      {"/type", "live", "type: found \"live\""},
      {"/created", "2026-02-29T00:00:00Z", "created: found"},
      {"/created", "2026-01-31T12:00:00+01:00", "created: found"},
      {"/expires", "tomorrow", "expires: found"},
      {"/model/weights", "", "model.weights: found"},
      {"/model/dtype", "F64", "model.dtype: found \"F64\""},
      {"/model/geometry/layers", 0, "model.geometry.layers: found 0, expected an integer from 1"},
      {"/model/geometry/layers", 1025, "model.geometry.layers: found 1025"},
      {"/model/geometry/key_heads", 65535, "model.geometry: found"},
      {"/model/geometry/key_dim", 0, "model.geometry.key_dim: found 0"},
      {"/model/rope/layout", "spiral", "model.rope.layout: found \"spiral\""},
      {"/model/rope/rotary_dims", 65, "model.rope.rotary_dims: found 65"},
      {"/profile/digest", digest + "a", "profile.digest: found"},
      {"/profile/bytes", 0, "profile.bytes: found 0"},
      {"/profile/bytes", (1ull << 40) + 1, "profile.bytes: found 1099511627777"},
      {"/tokens", 25, "text.tokens: 24 elements, expected 25"},
      {"/chunk_tokens", 24, "chunk_tokens: found 24, expected a multiple of 16"},
      {"/chunk_tokens", 1 << 21, "chunk_tokens: found 2097152"},
      {"/levels", 9, "levels: found 9"},
      {"/levels", 3, "chunks[0].planes: 2 elements, expected 3"},
      {"/floor_level", 2, "floor_level: found 2, expected an integer from 0 to 1"},
      {"/text/tokens/3", 1ull << 32, "text.tokens[3]: found 4294967296"},
      {"/base_urls", json::array(), "base_urls: 0 elements, expected 1 to 16"},
      {"/base_urls/0/weight", 0, "base_urls[0].weight: found 0"},
      {"/chunks", json::array(), "chunks: 0 elements"},
      {"/chunks/1/tokens/0", 15, "chunks[1].tokens: found [15,24], expected the range from 16"},
      {"/chunks/1/tokens/0", 17, "chunks[1].tokens: found [17,24]"},
      {"/chunks/1/tokens/1", 16, "chunks[1].tokens: found [16,16]"},
      {"/chunks/1/tokens/1", 25, "expected the range from 16 to at most 24"},
      {"/chunks/1/tokens/1", 23, "chunks: they end at token 23, expected 24"},
      {"/chunks/0/tokens/1", 17, "expected the range from 0 to at most 16"},
      {"/chunks/0/tokens", {0, 16, 17}, "chunks[0].tokens: 3 elements, expected 2"},
      {"/chunks/0/planes/1/distortion", 1.5, "chunks[0].planes[1].distortion: found 1.5"},
      {"/chunks/0/planes/1/distortion", -0.1, "chunks[0].planes[1].distortion: found -0.1"},
      {"/chunks/0/planes/1/agreement", 2, "chunks[0].planes[1].agreement: found 2"},
      {"/chunks/0/planes/1/bytes", 1ull << 41, "chunks[0].planes[1].bytes: found"},
      {"/chunks/0/decode_cost", -1, "chunks[0].decode_cost: found -1"},
      {"/chunks/0/prefix_hash", "ABCD", "chunks[0].prefix_hash: found \"ABCD\""},
  };
  for (const Change& change : changes) {
    json changed = document;
    changed[json::json_pointer(change.pointer)] = change.value;
    EXPECT_THAT(message_of(changed.dump()), HasSubstr(change.message)) << change.pointer;
  }
}

TEST(ManifestFault, BaseUrlsAreHttpOrRelative) {
  json document = parsed(example_manifest());
  const auto message = [&](const std::string& url) {
    document["base_urls"][0]["url"] = url;
    return message_of(document.dump());
  };
  for (const char* good :
       {"../", "./", "a/b:c/", "http://h/", "https://h:8080/t/public/", "%41/"}) {
    EXPECT_EQ(message(good), "no error") << good;
  }
  for (const std::string bad :
       {"", "..", "/", "/etc/", "//host/", "file:///etc/", "ftp://h/", "javascript:x/", "http:///",
        "http://", "https://h", "a b/", "a\\b/", "a\nb/", "\xc3\xa9/", "../?x=/", "../#/"}) {
    EXPECT_THAT(message(bad), HasSubstr("base_urls[0].url: found")) << bad;
  }
  EXPECT_THAT(message(std::string(2048, 'a') + "/"), HasSubstr("base_urls[0].url: found"));
  document = parsed(example_manifest());
  document["base_urls"] = json(std::vector<json>(17, document["base_urls"][0]));
  EXPECT_THAT(message_of(document.dump()), HasSubstr("base_urls: 17 elements, expected 1 to 16"));
}

TEST(ManifestFault, TimesAreRfc3339) {
  json document = parsed(example_manifest());
  const auto is_read = [&](const std::string& time) {
    document["created"] = time;
    return message_of(document.dump()) == "no error";
  };
  for (const char* good : {"2024-02-29T23:59:59Z", "2000-02-29T00:00:00.123456789Z"}) {
    EXPECT_TRUE(is_read(good)) << good;
  }
  for (const char* bad :
       {"", "Z", "2026-01-31", "2026-01-31T12:00:00", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "1900-02-29T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01 00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00.1aZ"}) {
    EXPECT_FALSE(is_read(bad)) << bad;
  }
}

TEST(ManifestFault, UnknownKeysAreIgnored) {
  json document = parsed(example_manifest());
  document["new"] = {{"deep", {1, 2}}};
  document["chunks"][0]["new"] = 1;
  EXPECT_EQ(*read_manifest(document.dump(), "x"), example_manifest());
}

TEST(ManifestFault, HostileJsonIsRefusedBeforeItCosts) {
  EXPECT_THAT(message_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(message_of("[]"), HasSubstr("document: found [], expected an object"));
  EXPECT_THAT(message_of(std::string(1000, '[')), HasSubstr("nested deeper than 8 at byte 8"));
  EXPECT_THAT(message_of(std::string("[").append(20u << 20, ',')),
              HasSubstr("JSON values, at byte"));
  EXPECT_THAT(message_of(std::string(kMaxManifestBytes + 1, ' ')),
              HasSubstr("more than the limit"));
  EXPECT_THAT(message_of(R"({"kvcast":1,"kvcast":1})"), HasSubstr("key \"kvcast\" twice"));
  EXPECT_THAT(message_of(R"({"kvcast":1e999})"), HasSubstr("not JSON"));
  EXPECT_THAT(message_of("{\"a\xff\":1}"), HasSubstr("not JSON"));
  EXPECT_THAT(message_of(std::string("{\"").append(1 << 20, 'k').append("\":1,}")),
              HasSubstr("not JSON"));
  std::string many = "[{}";
  for (uint32_t i = 0; i < kMaxChunks; ++i) many += ",{}";
  json document = parsed(example_manifest());
  document["chunks"] = json::parse(many.append("]"));
  EXPECT_THAT(message_of(document.dump()),
              HasSubstr("chunks: 65537 elements, expected 1 to 65536"));
}

TEST(ManifestFault, DamageNeverEscapes) {
  std::mt19937 random(8);
  const std::string text = write_manifest(example_manifest());
  for (size_t size = 0; size + 1 < text.size(); size += 3) {
    EXPECT_NE(message_of(text.substr(0, size)), "no error") << size;
  }
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = text;
    for (auto flips = 1 + random() % 3; flips > 0; --flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto manifest = read_manifest(damaged, "x");
    if (manifest.ok()) {
      EXPECT_TRUE(read_manifest(write_manifest(*manifest), "x").ok()) << damaged;
    }
  }
}

TEST(ManifestFault, GoldenBadFiles) {
  const json document = parsed(example_manifest());
  const std::vector<std::pair<std::string, std::function<void(json&)>>> defects = {
      {"other_version", [](json& m) { m["kvcast"] = 2; }},
      {"other_codec", [](json& m) { m["codec"] = "kvc.2.BF16.8.2x64.2x64.half_split"; }},
      {"encrypted",
       [](json& m) {
         m["encryption"] = {{"scheme", "x"}, {"kid", "y"}};
       }},
      {"gap_between_chunks",
       [](json& m) {
         m["chunks"][1]["tokens"] = {17, 24};
       }},
      {"missing_plane", [](json& m) { m["chunks"][1]["planes"].erase(1); }},
      {"upper_case_digest", [](json& m) { m["profile"]["digest"] = std::string(64, 'A'); }},
      {"absolute_base_url", [](json& m) { m["base_urls"][0]["url"] = "/etc/"; }},
      {"id_leaves_the_store", [](json& m) { m["id"] = "../../x"; }}};
  for (const auto& [name, damage] : defects) {
    json changed = document;
    damage(changed);
    const std::string file = "manifest/bad_" + name + ".json";
    expect_golden(file, as_bytes(changed.dump()));
    EXPECT_NE(message_of(as_text(golden(file))), "no error") << name;
  }
  std::string damaged = write_manifest(example_manifest());
  damaged.replace(damaged.find("[100,101"), 4, "[110");
  expect_golden("manifest/bad_checksum.json", as_bytes(damaged));
  EXPECT_THAT(message_of(as_text(golden("manifest/bad_checksum.json"))), HasSubstr("checksum: "));
}

}  // namespace
}  // namespace kvcast::manifests
