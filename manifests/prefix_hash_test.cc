#include "manifests/prefix_hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <sstream>

#include "manifests/testing/golden.h"

namespace kvcast::manifests {
namespace {

using ::testing::HasSubstr;

std::vector<uint32_t> counting(size_t count) {
  std::vector<uint32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0u);
  return tokens;
}

const PrefixSeed kSeed = {"", "pocket-lm", "", {}};

std::string lines_of(const std::vector<Digest>& hashes) {
  std::string lines;
  for (const Digest& hash : hashes) lines += hash.hex() + "\n";
  return lines;
}

TEST(PrefixHash, WorkedExampleAndGoldenChain) {
  const auto hashes = prefix_hashes(kSeed, counting(40));
  EXPECT_EQ(lines_of(hashes), page_example("prefix_format.md", "hashes"));
  // tests/golden/prefix/make_chain.py computed it without this code.
  const PrefixSeed full = {"s\xc3\xa4lt", "meta/llama", "lora", {"", "image"}};
  std::vector<uint32_t> tokens = counting(64);
  for (uint32_t& token : tokens) token *= 67'108'859u;
  EXPECT_EQ(lines_of(prefix_hashes(full, tokens)), as_text(golden("prefix/chain.txt")));
}

TEST(PrefixHash, OnlyWholeBlocksHaveOne) {
  for (size_t count = 0; count < 70; ++count) {
    EXPECT_EQ(prefix_hashes(kSeed, counting(count)).size(), count / 16) << count;
  }
}

TEST(PrefixHash, APrefixHasTheSameHashesAndAChangeChangesTheRest) {
  const auto whole = prefix_hashes(kSeed, counting(160));
  const auto part = prefix_hashes(kSeed, counting(80));
  EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin()));
  auto changed = counting(160);
  changed[50] = 1'000'000;
  const auto other = prefix_hashes(kSeed, changed);
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(whole[i] == other[i], i < 3) << i;
}

TEST(PrefixHash, EveryPartOfTheSeedCounts) {
  const auto tokens = counting(16);
  const std::vector<PrefixSeed> seeds = {
      {"", "", "", {}},    {"a", "", "", {}},    {"", "a", "", {}},       {"", "", "a", {}},
      {"", "", "", {"a"}}, {"", "", "", {""}},   {"", "", "", {"", ""}},  {"ab", "c", "", {}},
      {"a", "bc", "", {}}, {"", "", "", {"ab"}}, {"", "", "", {"a", "b"}}};
  std::set<Digest> hashes;
  for (const PrefixSeed& seed : seeds) hashes.insert(prefix_hashes(seed, tokens)[0]);
  EXPECT_EQ(hashes.size(), seeds.size());
}

TEST(PrefixEntry, RoundTripsAndIsWhatThePageSays) {
  const PrefixEntry entry = {"demo", 48, 0};
  EXPECT_EQ(write_prefix_entry(entry), page_example("prefix_format.md", "entry"));
  expect_golden("prefix/entry.json", as_bytes(write_prefix_entry(entry)));
  EXPECT_EQ(*read_prefix_entry(write_prefix_entry(entry), "x"), entry);
}

TEST(PrefixEntry, BadEntriesNameTheirFault) {
  const auto message = [](std::string_view json) {
    const auto entry = read_prefix_entry(json, "k/x");
    return entry.ok() ? "no error" : entry.error().message;
  };
  const std::string rest = R"("presentation":"a","tokens":16,"chunk":0})";
  EXPECT_EQ(message(R"({"kvcast":1,)" + rest), "no error");
  EXPECT_THAT(message(R"({"kvcast":2,)" + rest), HasSubstr("k/x: kvcast: found 2"));
  EXPECT_THAT(message("{" + rest), HasSubstr("kvcast: missing"));
  EXPECT_THAT(message(R"({"kvcast":1,"presentation":"../x","tokens":16,"chunk":0})"),
              HasSubstr("presentation: found \"../x\""));
  EXPECT_THAT(message(R"({"kvcast":1,"presentation":"x","tokens":17,"chunk":0})"),
              HasSubstr("tokens: found 17, expected a multiple of 16"));
  EXPECT_THAT(message(R"({"kvcast":1,"presentation":"x","tokens":0,"chunk":0})"),
              HasSubstr("tokens: found 0"));
  EXPECT_THAT(message(R"({"kvcast":1,"presentation":"x","tokens":16,"chunk":65536})"),
              HasSubstr("chunk: found 65536"));
  EXPECT_THAT(message(""), HasSubstr("not JSON"));
  EXPECT_THAT(message(std::string(5000, ' ')), HasSubstr("more than the limit of 4096"));
}

}  // namespace
}  // namespace kvcast::manifests
