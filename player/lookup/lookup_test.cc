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
    if (request.post) return store_answer_(request);
    const auto file = files_.find(request.url);
    if (file == files_.end()) return serve_status(404, false);
    return serve_bytes(to_bytes(file->second), "\"e\"", request);
  }

  manifests::Result<LongestPrefix> find(std::stop_token stop = {}) {
    Downloader downloader(transport_);
    auto found = find_longest_prefix(downloader, params_, tokens_, std::move(stop));
    EXPECT_EQ(downloader.running() + downloader.queued(), 0u);
    return found;
  }

  // What an origin answers that holds `blocks` of the chain.
  static MemoryTransport::Response origin_answer(const TransferRequest& request, uint64_t blocks) {
    PrefixEntry entry;
    entry.presentation = "book";
    entry.tokens = 16 * blocks;
    entry.chunk = 0;
    const std::string text =
        blocks > 0 ? manifests::write_prefix_entry(entry) : "{\"kvcast\":1,\"tokens\":0}\n";
    return serve_bytes(to_bytes(text), "", request);
  }

  LookupParams params_;
  std::vector<uint32_t> tokens_;
  MemoryTransport::Handler store_answer_ = [](const TransferRequest&) {  // as a static server's
    return serve_status(405, false);
  };
  std::map<std::string, std::string> files_;
  MemoryTransport transport_{[this](const TransferRequest& request) { return answer(request); }};
};

TEST_F(LookupTest, FindsTheLongestStoredPrefix) {
  for (const uint64_t blocks : {1, 2, 17, 61, 62}) {
    publish(blocks);
    const auto found = find();
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(found->stored.has_value());
    EXPECT_EQ(found->stored->entry.tokens, 16 * blocks);
    EXPECT_EQ(found->stored->manifest_url, "http://store.test/root/t/public/m/book.json");
    EXPECT_TRUE(found->how.starts_with("by GETs: ")) << found->how;
  }
}

TEST_F(LookupTest, NothingStoredIsNoError) {
  auto found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->stored.has_value());
  tokens_.resize(15);
  found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->stored.has_value());
}

TEST_F(LookupTest, AnotherSaltFindsNothing) {
  publish(62);
  params_.seed.salt = "other";
  const auto found = find();
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->stored.has_value());
}

TEST_F(LookupTest, AnOriginIsAskedForTheWholeChain) {
  for (const uint64_t blocks : {0, 1, 17, 62}) {
    store_answer_ = [&](const TransferRequest& request) {
      EXPECT_EQ(request.url, "http://store.test/root/t/public/k/model-1:longest");
      const auto hashes = manifests::prefix_hashes(params_.seed, tokens_);
      const auto bytes = std::as_bytes(std::span(hashes));
      EXPECT_EQ(*request.post, std::vector<std::byte>(bytes.begin(), bytes.end()));
      return origin_answer(request, blocks);
    };
    const auto found = find();  // the GETs all say that nothing is there
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->how, "by the store's lookup");
    ASSERT_EQ(found->stored.has_value(), blocks > 0);
    if (blocks == 0) continue;
    EXPECT_EQ(found->stored->entry.tokens, 16 * blocks);
    EXPECT_EQ(found->stored->manifest_url, "http://store.test/root/t/public/m/book.json");
  }
}

// Whatever else a server makes of the question, the GETs find what there is, and the log says why.
TEST_F(LookupTest, WithoutAnAnswerGetsFindIt) {
  publish(17);
  for (const int status : {400, 401, 403, 404, 405, 411, 413, 501, 503}) {
    int questions = 0;
    store_answer_ = [&](const TransferRequest&) {
      ++questions;
      return serve_status(status, status >= 500);
    };
    const auto found = find();
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(found->stored.has_value());
    EXPECT_EQ(found->stored->entry.tokens, 16u * 17);
    EXPECT_NE(found->how.find(std::to_string(status)), std::string::npos) << found->how;
    EXPECT_EQ(questions, 1) << "asked once";
  }
}

TEST_F(LookupTest, AnAnswerThatIsNoneIsNotBelieved) {
  publish(17);
  for (const std::string bad :
       {"", "<html>", "{}", R"({"kvcast":1,"presentation":"../x","tokens":16,"chunk":0})",
        R"({"kvcast":1,"presentation":"book","tokens":1008,"chunk":0})",
        R"({"kvcast":1,"presentation":"book","tokens":17,"chunk":0})"}) {
    store_answer_ = [&](const TransferRequest& request) {
      return serve_bytes(to_bytes(bad), "", request);
    };
    const auto found = find();
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_TRUE(found->stored.has_value());
    EXPECT_EQ(found->stored->entry.tokens, 16u * 17) << bad;
    EXPECT_TRUE(found->how.starts_with("by GETs: ")) << found->how;
  }
}

TEST_F(LookupTest, AnOriginThatDoesNotAnswerIsNotWaitedFor) {
  publish(17);
  store_answer_ = [](const TransferRequest&) {
    MemoryTransport::Response never;
    never.hangs = true;
    return never;
  };
  const auto found = find();
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->stored->entry.tokens, 16u * 17);
  EXPECT_EQ(found->how, "by GETs: they were faster than the store's lookup");
  EXPECT_LT(transport_.now_ns(), 2'000'000'000);
}

TEST_F(LookupTest, FewBlocksAreNotWorthTheQuestion) {
  publish(62);
  tokens_.resize(16 * params_.probes);
  ASSERT_TRUE(find().ok());
  for (const TransferRequest& request : transport_.requests()) EXPECT_FALSE(request.post);
}

TEST_F(LookupTest, AWholeContextTakesOneRound) {
  publish(62);
  params_.ask_store = false;
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
