#include "origin/lookup/longest_prefix.h"

#include <gtest/gtest.h>

namespace kvcast::origin {
namespace {

TEST(LongestPrefix, FindsTheLastStoredBlockInFewQuestions) {
  for (const size_t blocks : {0, 1, 2, 3, 17, 1000}) {
    for (size_t stored = 0; stored <= blocks; ++stored) {
      size_t questions = 0;
      const auto longest = find_longest_prefix(blocks, [&](size_t block) {
        ++questions;
        EXPECT_LT(block, blocks);
        if (block >= stored) return std::optional<manifests::PrefixEntry>();
        return std::optional(manifests::PrefixEntry{"book", 16 * (block + 1), 0});
      });
      ASSERT_EQ(longest ? longest->tokens : 0, 16 * stored) << blocks;
      EXPECT_LE(questions, 11u);
      if (stored == blocks) {
        EXPECT_LE(questions, 1u);
      }
    }
  }
}

}  // namespace
}  // namespace kvcast::origin
