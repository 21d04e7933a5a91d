#include "tools/engine/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace kvcast::engine {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

json read_json(const std::string& path) {
  std::ifstream file(std::string(KVCAST_SOURCE_DIR) + "/tests/" + path);
  return json::parse(file);
}

json pocket_spec() {
  return read_json("data/pocket-lm/tokenizer.json");
}

Tokenizer tokenizer_of(const json& spec) {
  auto tokenizer = Tokenizer::parse(spec.dump(), "tokenizer.json");
  if (!tokenizer.ok()) throw std::runtime_error(tokenizer.error().message);
  return *tokenizer;
}

std::vector<uint32_t> encode(const Tokenizer& tokenizer, std::string_view text) {
  auto tokens = tokenizer.encode(text);
  EXPECT_TRUE(tokens.ok()) << tokens.error().message;
  return tokens.ok() ? *tokens : std::vector<uint32_t>{};
}

// tests/golden/tokenizer/generate.py made these with Hugging Face `tokenizers`.
TEST(Tokenizer, EncodesAsTheReferenceDoes) {
  const json golden = read_json("golden/tokenizer/encodings.json");
  size_t checked = 0;
  for (const auto& [name, splitter] : golden["splitters"].items()) {
    json spec = pocket_spec();
    if (!splitter.is_null()) spec["pre_tokenizer"] = splitter;
    spec["model"]["ignore_merges"] = name == "llama3";
    const Tokenizer tokenizer = tokenizer_of(spec);
    for (const json& test : golden["cases"]) {
      if (test["splitter"] != name) continue;
      const std::string text = test["text"];
      EXPECT_EQ(json(encode(tokenizer, text)), test["ids"]) << name << ": " << text;
      EXPECT_EQ(tokenizer.decode(test["ids"].get<std::vector<uint32_t>>()), text) << name;
      ++checked;
    }
  }
  EXPECT_EQ(checked, golden["cases"].size());
  EXPECT_GE(checked, 40u);
}

TEST(Tokenizer, RoundTripsAnyBytes) {
  const Tokenizer tokenizer = tokenizer_of(pocket_spec());
  std::mt19937 random(7);
  const std::string_view parts[] = {"the ", "<|doc|>", "é",  "東",       "🙂", "\n",
                                    "  ",   "1",       "'s", "\xF0\x9F", "\xFF", "\xC3"};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    const size_t length = random() % 60;
    for (size_t i = 0; i < length; ++i) {
      if (random() % 3 == 0) {
        text += parts[random() % std::size(parts)];
      } else {
        text += static_cast<char>(random() % 256);
      }
    }
    ASSERT_EQ(tokenizer.decode(encode(tokenizer, text)), text) << round;
  }
}

TEST(Tokenizer, FindsTheLongestOfAddedTokensThatStartTogether) {
  json spec = pocket_spec();
  spec["added_tokens"].push_back({{"id", 2048}, {"content", "<|doc|>x"}});
  const Tokenizer tokenizer = tokenizer_of(spec);
  EXPECT_EQ(encode(tokenizer, "<|doc|>x<|doc|>"), (std::vector<uint32_t>{2048, 2047}));
}

TEST(Tokenizer, TakesWholePiecesOnlyWhenAsked) {
  json spec = pocket_spec();
  spec["model"]["merges"] = json::array();
  EXPECT_GT(encode(tokenizer_of(spec), "the").size(), 1u);
  spec["model"]["ignore_merges"] = true;
  EXPECT_EQ(encode(tokenizer_of(spec), "the").size(), 1u);
}

TEST(Tokenizer, LongPiecesAreNotQuadratic) {
  const Tokenizer tokenizer = tokenizer_of(pocket_spec());
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + i % 26);
  EXPECT_EQ(tokenizer.decode(encode(tokenizer, text)), text);
}

TEST(Tokenizer, DecodesUnknownIdsAsNothing) {
  EXPECT_EQ(tokenizer_of(pocket_spec()).decode(std::vector<uint32_t>{97, 5000, 98}), "ab");
}

TEST(Tokenizer, ReportsARegularExpressionThatGivesUp) {
  json spec = pocket_spec();
  spec["pre_tokenizer"] = {
      {"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "(a+)+[^a]"}}}};
  const auto tokens = tokenizer_of(spec).encode(std::string(40, 'a'));
  ASSERT_FALSE(tokens.ok());
  EXPECT_THAT(tokens.error().message, HasSubstr("match limit"));
}

TEST(Tokenizer, RefusesByName) {
  const auto split = [](json pattern, const char* behavior) {
    return json{{"type", "Split"}, {"behavior", behavior}, {"pattern", std::move(pattern)}};
  };
  const std::vector<std::pair<json, std::string>> patches = {
      {{{"normalizer", {{"type", "NFC"}}}}, "normalizer"},
      {{{"pre_tokenizer", {{"type", "Metaspace"}}}}, "Metaspace"},
      {{{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", true}}}},
       "add_prefix_space"},
      {{{"pre_tokenizer", split({{"Regex", "a("}}, "Isolated")}}, "offset 2"},
      {{{"pre_tokenizer", split({{"String", " "}}, "Isolated")}}, "Regex"},
      {{{"pre_tokenizer", split({{"Regex", "a"}}, "Removed")}}, "Removed"},
      {{{"model", {{"type", "Unigram"}}}}, "BPE"},
      {{{"model", {{"vocab", {{"a", 97}, {"b", nullptr}}}}}}, "\"b\""},
      {{{"model", {{"vocab", {{"a", nullptr}}}}}}, "\"a\""},
      {{{"model", {{"merges", {{"a", "b", "c"}}}}}}, "merges[0]"},
      {{{"model", {{"merges", {"zq zq"}}}}}, "merges[0]"},
      {{{"model", {{"end_of_word_suffix", "</w>"}}}}, "end_of_word_suffix"},
      {{{"added_tokens", {{{"id", 1u << 30}, {"content", "x"}}}}}, "added_tokens"},
      {{{"added_tokens", {{{"id", 2047}, {"content", "x"}, {"lstrip", true}}}}}, "lstrip"},
  };
  for (const auto& [patch, named] : patches) {
    json spec = pocket_spec();
    spec.update(patch, /*merge_objects=*/true);
    const auto tokenizer = Tokenizer::parse(spec.dump(), "y/tokenizer.json");
    ASSERT_FALSE(tokenizer.ok()) << patch;
    EXPECT_THAT(tokenizer.error().message, AllOf(HasSubstr("y/tokenizer.json"), HasSubstr(named)));
  }
  json no_byte = pocket_spec();
  no_byte["model"]["vocab"].erase("!");
  EXPECT_THAT(Tokenizer::parse(no_byte.dump(), "y").error().message, HasSubstr("byte 33"));
  EXPECT_FALSE(Tokenizer::parse("[", "y").ok());
}

}  // namespace
}  // namespace kvcast::engine
