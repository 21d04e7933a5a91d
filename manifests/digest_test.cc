#include "manifests/digest.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "manifests/testing/golden.h"

namespace kvcast::manifests {
namespace {

TEST(Digest, Sha256KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Digest, Xxh3KnownAnswers) {  // of the xxHash library's own sanity test: seed 0, no bytes
  EXPECT_EQ(xxh3({}), 0x2d06800538d394c2u);
  EXPECT_NE(xxh3(as_bytes("a")), xxh3(as_bytes("b")));
}

TEST(Digest, PiecesHashAsTheWhole) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(5000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  Sha256 hash;
  for (int round = 0; round < 20; ++round) {
    for (std::span<const std::byte> rest(bytes); !rest.empty();) {
      const size_t piece = std::min<size_t>(rest.size(), random() % 300);
      hash.update(rest.first(piece));
      rest = rest.subspan(piece);
    }
    EXPECT_EQ(hash.finish(), sha256(bytes));
  }
}

TEST(Digest, HexRoundTripsAndIsStrict) {
  const Digest digest = sha256(as_bytes("x"));
  const std::string hex = digest.hex();
  EXPECT_EQ(Digest::from_hex(hex), digest);
  EXPECT_FALSE(Digest::from_hex(hex.substr(1)));
  EXPECT_FALSE(Digest::from_hex(hex + "0"));
  EXPECT_FALSE(Digest::from_hex(""));
  for (const char bad : {'A', 'F', 'g', ' ', '/', ':', '\0', '\xff'}) {
    for (const size_t at : {0u, 31u, 63u}) {
      std::string damaged = hex;
      damaged[at] = bad;
      EXPECT_FALSE(Digest::from_hex(damaged)) << damaged;
    }
  }
}

}  // namespace
}  // namespace kvcast::manifests
