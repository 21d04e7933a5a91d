#include "origin/ingest/quota.h"

#include <gtest/gtest.h>

#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

TEST(ParseQuota, BytesFilesAndUnits) {
  EXPECT_EQ(parse_quota("acme=1000")->quota.bytes, 1000u);
  EXPECT_EQ(parse_quota("acme=2K,7")->quota.bytes, 2048u);
  EXPECT_EQ(parse_quota("acme=2K,7")->quota.files, 7u);
  EXPECT_EQ(parse_quota("*=3T")->quota.bytes, uint64_t{3} << 40);
  for (const char* text : {"", "acme", "=1", "acme=", "acme=x", "acme=1X", "acme=1KB", "acme=1,",
                           "acme=1,x", "a b=1", "acme=99999999999T", "acme=-1"}) {
    const auto quota = parse_quota(text);
    ASSERT_FALSE(quota.ok()) << text;
    EXPECT_EQ(quota.error().kind, manifests::ErrorKind::kUsage);
  }
}

class QuotasTest : public ::testing::Test {
 protected:
  QuotasTest() { folder_.write("t/acme/m/x.json", std::string(600, 'x')); }
  testing::TemporaryFolder folder_;
};

TEST_F(QuotasTest, CountsWhatLiesThereAndWhatIsOnItsWay) {
  Quotas quotas(folder_.path().string(), {*parse_quota("acme=1000")},
                [](const std::string&) { return false; });
  EXPECT_FALSE(quotas.reserve("acme", 300, {}));
  const auto refusal = quotas.reserve("acme", 200, {});
  ASSERT_TRUE(refusal);
  EXPECT_NE(refusal->find("1000 bytes"), std::string::npos) << *refusal;
  EXPECT_FALSE(quotas.reserve("acme", 200, 150)) << "it takes the place of 150";
  EXPECT_FALSE(quotas.reserve("other", 5000, {})) << "has no quota";
  quotas.release("acme", 300, {});
  EXPECT_FALSE(quotas.reserve("acme", 200, {}));
}

TEST_F(QuotasTest, FilesAndOthers) {
  Quotas quotas(folder_.path().string(), {*parse_quota("*=1M,2")},
                [](const std::string&) { return false; });
  EXPECT_FALSE(quotas.reserve("acme", 1, {}));
  EXPECT_TRUE(quotas.reserve("acme", 1, {}));
  EXPECT_FALSE(quotas.reserve("acme", 1, 1)) << "in the place of another";
  EXPECT_FALSE(quotas.reserve("other", 1, {}));
}

}  // namespace
}  // namespace kvcast::origin
