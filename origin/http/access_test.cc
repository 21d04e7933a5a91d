#include "origin/http/access.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvcast::origin {
namespace {

class AccessTest : public ::testing::Test {
 protected:
  Admission ask(const std::string& target, const std::string& authorization = "",
                int64_t now_s = 50) const {
    const Target parsed = parse_target(target);
    EXPECT_EQ(parsed.error_status, 0) << target;
    return admit(parsed, authorization, rules_, now_s);
  }
  int status(const std::string& target, const std::string& authorization = "",
             int64_t now_s = 50) const {
    return ask(target, authorization, now_s).error_status;
  }

  const TokenKeys keys_ = *TokenKeys::parse("k " + std::string(64, 'a'), "keys");
  const std::vector<std::string> open_ = {"open"};
  AccessRules rules_{&keys_, open_};
  const std::string token_ = mint_token(keys_.signing(), {"acme", "r", 100});
};

TEST_F(AccessTest, WithoutKeysEverythingIsOpen) {
  rules_.keys = nullptr;
  EXPECT_EQ(ask("/t/acme/m/x.json").path, "t/acme/m/x.json");
  EXPECT_EQ(status("/any/file"), 0);
  EXPECT_EQ(ask("/s/x/t/acme/m/x.json").path, "s/x/t/acme/m/x.json");
  EXPECT_EQ(status("/t/acme/"), 404);
  EXPECT_EQ(status("/"), 404);
}

TEST_F(AccessTest, ATokenInThePathOrTheField) {
  const Admission by_path = ask("/s/" + token_ + "/t/acme/m/x.json");
  EXPECT_EQ(by_path.error_status, 0);
  EXPECT_EQ(by_path.path, "t/acme/m/x.json");
  EXPECT_TRUE(by_path.by_token);
  EXPECT_EQ(by_path.key_id, "k");
  const Admission by_field = ask("/t/acme/m/x.json", "Bearer " + token_);
  EXPECT_EQ(by_field.error_status, 0);
  EXPECT_TRUE(by_field.by_token);
  EXPECT_EQ(status("/t/acme/m/x.json", "bearer   " + token_), 0);
  EXPECT_EQ(status("/t/acme/m/x.json", "Basic " + token_), 401);
  EXPECT_EQ(status("/s/%31" + token_.substr(1) + "/t/acme/m/x.json"), 0) << "decoded once";
}

TEST_F(AccessTest, ThePathsTokenCountsIfThereAreTwo) {
  EXPECT_EQ(status("/s/x/t/acme/m/x.json", "Bearer " + token_), 403);
}

TEST_F(AccessTest, NothingWithout) {
  EXPECT_EQ(status("/t/acme/m/x.json"), 401);
  EXPECT_EQ(status("/t/nobody/m/x.json"), 401) << "no less and no more than an existing one";
  EXPECT_EQ(status("/s//t/acme/m/x.json"), 404) << "empty segments do not count: `t` is the token";
  EXPECT_EQ(status("/s/x/t/acme/m/x.json"), 403);
  EXPECT_EQ(status("/s/" + token_ + "/t/acme/m/x.json", "", 100), 403) << "expired";
  EXPECT_EQ(status("/s/" + token_ + "/t/other/m/x.json"), 403);
  EXPECT_EQ(status("/s/" + token_ + "/t/open2/m/x.json"), 403);
}

TEST_F(AccessTest, NothingOutsideTenants) {
  for (const std::string path :
       {"/any/file", "/healthz/x", "/t", "/t/", "/", "/t/a b/m/x.json", "/T/acme/m/x.json"}) {
    EXPECT_EQ(status(path, "Bearer " + token_), 404) << path;
    EXPECT_EQ(status("/s/" + token_ + path), 404) << path;
  }
  EXPECT_EQ(status("/s/" + token_), 404);
  EXPECT_EQ(status("/s/" + token_ + "/s/" + token_ + "/t/acme/m/x.json"), 404) << "one token";
}

TEST_F(AccessTest, EncodedSlashesMakeNoOtherTenant) {
  EXPECT_EQ(parse_target("/s/" + token_ + "/t/acme%2f..%2fother/m/x.json").error_status, 404);
  EXPECT_EQ(status("/s/" + token_ + "%2ft%2fother%2fm%2fx.json"), 403);
  EXPECT_EQ(status("/s/" + token_ + "/t%2facme/m/x.json"), 0);
}

TEST_F(AccessTest, OpenTenantsNeedNone) {
  const Admission open = ask("/t/open/m/x.json");
  EXPECT_EQ(open.error_status, 0);
  EXPECT_FALSE(open.by_token);
  EXPECT_EQ(status("/s/x/t/open/m/x.json"), 0);
  EXPECT_EQ(status("/t/open/"), 404);
}

TEST_F(AccessTest, TheRootTellsWhetherATokenIsGood) {
  EXPECT_TRUE(ask("/s/" + token_ + "/t/acme/").is_tenant_root);
  EXPECT_EQ(status("/s/" + token_ + "/t/acme/"), 0);
  EXPECT_EQ(status("/s/" + token_ + "/t/acme/m/"), 404);
  EXPECT_EQ(status("/s/" + token_ + "/t/acme/", "", 100), 403);
  EXPECT_EQ(status("/t/acme/"), 401);
}

TEST_F(AccessTest, AWritersTokenDoesNotRead) {
  const std::string writer = mint_token(keys_.signing(), {"acme", "w", 100});
  EXPECT_EQ(status("/s/" + writer + "/t/acme/m/x.json"), 403);
}

}  // namespace
}  // namespace kvcast::origin
