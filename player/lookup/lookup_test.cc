#include "player/lookup.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "manifests/layout.h"
#include "player/lookup/bisection.h"
#include "player/transport/memory_transport.h"

namespace kvcast::player {
namespace {

using manifests::ErrorKind;
using manifests::PrefixEntry;

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// A store in memory that holds the entries of the first blocks of some tokens.
class LookupTest : public testing::Test {
 protected:
  LookupTest() {
    params_.store_url = "http://store.test/root";
    params_.seed.salt = "salt";
    params_.seed.weights = "model-1";
    std::mt19937 random(3);
    for (int i = 0; i < 1000; ++i) tokens_.push_back(static_cast<uint32_t>(random()));
  }

  void publish(uint64_t blocks) {
    const auto hashes = manifests::prefix_hashes(params_.seed, tokens_);
    for (uint64_t block = 0; block < blocks; ++block) {
      PrefixEntry entry;
      entry.presentation = "book";
      entry.tokens = 16 * (block + 1);
      entry.chunk = static_cast<uint32_t>(block / 8);
      files_["http://store.test/root/" +
             manifests::prefix_path("public", "model-1", hashes[block])] =
          manifests::write_prefix_entry(entry);
    }
  }

  MemoryTransport::Response answer(const TransferRequest& request) {
    const auto file = files_.find(request.url);
    if (file == files_.end()) return serve_status(404, false);
    return serve_bytes(to_bytes(file->second), "\"e\"", request);
  }

  manifests::Result<std::optional<StoredPrefix>> find(std::stop_token stop = {}) {
    Downloader downloader(transport_);
    auto found = find_longest_prefix(downloader, params_, tokens_, std::move(stop));
    EXPECT_EQ(downloader.running() + downloader.queued(), 0u);
    return found;
  }

  LookupParams params_;
  std::vector<uint32_t> tokens_;
  std::map<std::string, std::string> files_;
  MemoryTransport transport_{[this](const TransferRequest& request) { return answer(request); }};
};

TEST_F(LookupTest, FindsTheLongestStoredPrefix) {
  for (const uint64_t blocks : {1, 2, 17, 61, 62}) {
    publish(blocks);
    const auto found = find();
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(found->has_value());
    EXPECT_EQ((*found)->entry.tokens, 16 * blocks);
    EXPECT_EQ((*found)->manifest_url, "http://store.test/root/t/public/m/book.json");
  }
}

TEST_F(LookupTest, NothingStoredIsNoError) {
  auto found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
  tokens_.resize(15);
  found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
}

TEST_F(LookupTest, AnotherSaltFindsNothing) {
  publish(62);
  params_.seed.salt = "other";
  const auto found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->has_value());
}

TEST_F(LookupTest, AWholeContextTakesOneRound) {
  publish(62);
  ASSERT_TRUE(find().ok());
  EXPECT_LE(transport_.requests().size(), params_.probes);
}

TEST_F(LookupTest, AStoreThatFailsIsAnError) {
  MemoryTransport failing([](const TransferRequest&) { return serve_status(500, true); });
  Downloader downloader(failing);
  const auto found = find_longest_prefix(downloader, params_, tokens_);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kIo);
  EXPECT_EQ(downloader.running() + downloader.queued(), 0u);
}

TEST_F(LookupTest, AnEntryThatIsNotOneIsAnError) {
  for (const std::string bad : {"{}", "not json", "",
                                R"({"kvcast":1,"presentation":"../x",)"
                                R"("tokens":992,"chunk":7})",
                                R"({"kvcast":1,"presentation":"book","tokens":48,"chunk":0})"}) {
    publish(62);
    for (auto& [url, text] : files_) text = bad;
    const auto found = find();
    ASSERT_FALSE(found.ok()) << bad;
    EXPECT_EQ(found.error().kind, ErrorKind::kCorrupt);
    EXPECT_NE(found.error().message.find("http://store.test/root/t/public/k/"), std::string::npos)
        << found.error().message;
  }
}

TEST_F(LookupTest, StopsWhenAsked) {
  std::stop_source source;
  source.request_stop();
  const auto found = find(source.get_token());
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().message, "cancelled");
}

TEST_F(LookupTest, RefusesBadNames) {
  params_.tenant = "../other";
  EXPECT_EQ(find().error().kind, ErrorKind::kUsage);
  params_.tenant = "public";
  params_.store_url = "file:///etc";
  EXPECT_EQ(find().error().kind, ErrorKind::kUsage);
}

TEST(Bisection, FindsTheFrontierInFewRounds) {
  for (uint32_t probes = 0; probes <= 9; ++probes) {
    for (const uint64_t blocks : {0, 1, 2, 3, 5, 8, 64, 65, 500}) {
      for (uint64_t present = 0; present <= blocks; ++present) {
        Bisection bisection(blocks, probes);
        uint64_t left = blocks;
        int rounds = 0;
        for (; !bisection.done(); ++rounds) {
          const auto asked = bisection.next();
          ASSERT_FALSE(asked.empty());
          ASSERT_LE(asked.size(), std::max(probes, 1u));
          ASSERT_EQ(std::set<uint64_t>(asked.begin(), asked.end()).size(), asked.size());
          ASSERT_LT(asked.back(), blocks);
          ASSERT_TRUE(rounds > 0 || asked.back() == blocks - 1);
          for (uint64_t block : asked) bisection.answer(block, block < present);
        }
        EXPECT_EQ(bisection.last_present(),
                  present > 0 ? std::optional(present - 1) : std::nullopt);
        int most = 1;  // the first round, then all but a (probes + 1)-th part falls away
        for (; left > 0; left /= std::max(probes, 1u) + 1) ++most;
        EXPECT_LE(rounds, most + 1) << probes << " " << blocks << " " << present;
      }
    }
  }
}

// Answers in any order, even of a store that changes meanwhile, never make it go on for ever.
TEST(Bisection, EndsEvenWhenAnswersContradictEachOther) {
  std::mt19937 random(5);
  for (int round = 0; round < 1000; ++round) {
    Bisection bisection(random() % 1000, 1 + random() % 8);
    int rounds = 0;
    for (; !bisection.done(); ++rounds) {
      ASSERT_LT(rounds, 1000);
      auto asked = bisection.next();
      std::shuffle(asked.begin(), asked.end(), random);
      for (uint64_t block : asked) bisection.answer(block, random() % 2 == 0);
    }
  }
}

}  // namespace
}  // namespace kvcast::player
