#include "origin/token.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "origin/testing/folder.h"

namespace kvcast::origin {
namespace {

const std::string kGolden = KVCAST_SOURCE_DIR "/tests/golden/token/";
constexpr char kSecret[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TokenKeys golden_keys() {
  auto keys = TokenKeys::load(kGolden + "keys.txt");
  if (!keys.ok()) throw std::runtime_error(keys.error().message);
  return *keys;
}

struct Vector {
  std::string tenant, token, line;
  char right = 0;
  int64_t now_s = 0;
};

std::vector<Vector> vectors(const std::string& file) {
  std::vector<Vector> all;
  std::ifstream in(kGolden + file);
  for (Vector v; std::getline(in, v.line);) {
    std::istringstream(v.line) >> v.tenant >> v.right >> v.now_s >> v.token;
    all.push_back(v);
  }
  return all;
}

TEST(Token, GoldenOnesAreGood) {
  const TokenKeys keys = golden_keys();
  ASSERT_EQ(vectors("good.txt").size(), 6u);
  for (const Vector& v : vectors("good.txt")) {
    EXPECT_EQ(check_token(keys, v.token, v.tenant, v.right, v.now_s), TokenVerdict::kValid)
        << v.line;
  }
}

TEST(Token, GoldenForgeriesAreNot) {
  const TokenKeys keys = golden_keys();
  ASSERT_EQ(vectors("bad.txt").size(), 25u);
  for (const Vector& v : vectors("bad.txt")) {
    EXPECT_NE(check_token(keys, v.token, v.tenant, v.right, v.now_s), TokenVerdict::kValid)
        << v.line;
  }
  const Vector expired = vectors("bad.txt").front();
  EXPECT_EQ(check_token(keys, expired.token, expired.tenant, expired.right, expired.now_s),
            TokenVerdict::kExpired);
}

TEST(Token, NoChangeOfAGoodOneIsGood) {
  const TokenKeys keys = golden_keys();
  const std::string token = mint_token(keys.signing(), {"acme", "r", 1790000000});
  ASSERT_EQ(check_token(keys, token, "acme", 'r', 0), TokenVerdict::kValid);
  std::mt19937_64 random(4);
  for (int i = 0; i < 20'000; ++i) {
    std::string changed = token;
    const size_t at = random() % changed.size();
    switch (random() % 4) {
      case 0:
        changed[at] = static_cast<char>(random());
        break;
      case 1:
        changed.erase(at, 1 + random() % 3);
        break;
      case 2:
        changed.insert(at, 1, "0.rwk1"[random() % 6]);
        break;
      default:
        std::swap(changed[at], changed[random() % changed.size()]);
    }
    if (changed == token) continue;
    ASSERT_NE(check_token(keys, changed, "acme", 'r', 0), TokenVerdict::kValid) << changed;
  }
}

TEST(Token, OneTenantsOpensNoOther) {
  const TokenKeys keys = golden_keys();
  const std::string token = mint_token(keys.signing(), {"acme", "rw", 1790000000});
  for (const char* tenant : {"", "acm", "acmee", "acme/", "acme/m", "ACME", "acme\n", "public"}) {
    EXPECT_EQ(check_token(keys, token, tenant, 'r', 0), TokenVerdict::kInvalid) << tenant;
  }
}

TEST(Token, KeysRotate) {
  const std::string first = "old " + std::string(kSecret) + "\n",
                    second = "new " + std::string(64, 'f') + "\n";
  const TokenKeys before = *TokenKeys::parse(first, "keys"),
                  both = *TokenKeys::parse(second + first, "keys"),
                  after = *TokenKeys::parse(second, "keys");
  const std::string old_token = mint_token(before.signing(), {"a", "r", 10});
  const std::string new_token = mint_token(both.signing(), {"a", "r", 10});
  EXPECT_EQ(token_key_id(new_token), "new");
  EXPECT_EQ(check_token(both, old_token, "a", 'r', 0), TokenVerdict::kValid);
  EXPECT_EQ(check_token(both, new_token, "a", 'r', 0), TokenVerdict::kValid);
  EXPECT_EQ(check_token(after, old_token, "a", 'r', 0), TokenVerdict::kInvalid);
  EXPECT_EQ(check_token(after, new_token, "a", 'r', 0), TokenVerdict::kValid);
}

TEST(Token, ClaimsNoTokenCanCarry) {
  const TokenKey key{"k", std::string(32, 'x')};
  for (const TokenClaims& claims :
       {TokenClaims{"a/b", "r", 1}, TokenClaims{"", "r", 1}, TokenClaims{"..", "r", 1},
        TokenClaims{"a", "x", 1}, TokenClaims{"a", "", 1}, TokenClaims{"a", "r", -1},
        TokenClaims{"a", "r", 100'000'000'000}}) {
    EXPECT_THROW(mint_token(key, claims), std::invalid_argument) << claims.tenant;
  }
}

TEST(TokenKeys, Parse) {
  const std::string secret = kSecret;
  const auto keys = TokenKeys::parse("# mine\n\n a  " + secret + " # it\r\nb\t" + secret, "keys");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  EXPECT_EQ(keys->signing().id, "a");
  EXPECT_EQ(keys->signing().secret[31], 31);
  EXPECT_NE(keys->find("b"), nullptr);
  EXPECT_EQ(keys->find("c"), nullptr);
}

TEST(TokenKeys, BadOnesAreNamedByLineAndNeverByTheirSecret) {
  const std::string secret = kSecret;
  for (const std::string& text : std::vector<std::string>{
           "\nk", "\nk 00", "\nk " + secret.substr(2), "\nk " + secret + " x", "\nk.1 " + secret,
           "\nk " + secret + "0", "\nk x" + secret.substr(1), "k " + secret + "\nk " + secret,
           "\n" + std::string(33, 'k') + " " + secret, "\nk " + std::string(258, '0')}) {
    const auto keys = TokenKeys::parse(text, "keys");
    ASSERT_FALSE(keys.ok()) << text;
    EXPECT_TRUE(keys.error().message.starts_with("keys:2: ")) << keys.error().message;
    EXPECT_EQ(keys.error().message.find(secret.substr(8, 16)), std::string::npos);
  }
  EXPECT_FALSE(TokenKeys::parse("", "keys").ok());
  EXPECT_FALSE(TokenKeys::load("/nowhere").ok());
}

}  // namespace
}  // namespace kvcast::origin
