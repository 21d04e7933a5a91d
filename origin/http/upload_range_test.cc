#include "origin/http/upload_range.h"

#include <gtest/gtest.h>

namespace kvcast::origin {
namespace {

TEST(UploadRange, PiecesAndQuestions) {
  EXPECT_EQ(parse_upload_range("bytes 0-9/10"), (UploadRange{0, 10, 10}));
  EXPECT_EQ(parse_upload_range("bytes 5-5/10"), (UploadRange{5, 1, 10}));
  EXPECT_EQ(parse_upload_range("bytes */10"), (UploadRange{0, 0, 10}));
  EXPECT_TRUE(parse_upload_range("bytes */10")->is_question());
  EXPECT_EQ(parse_upload_range("bytes 0-1099511627775/1099511627776")->bytes, uint64_t{1} << 40);
}

TEST(UploadRange, NothingElse) {
  for (const char* field :
       {"",
        "bytes",
        "bytes ",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes 0-9/*",
        "bytes 0-10/10",
        "bytes 9-0/10",
        "bytes 10-10/10",
        "bytes -9/10",
        "bytes 0-/10",
        "bytes +0-9/10",
        "bytes 0-9/10 ",
        "bytes  0-9/10",
        "Bytes 0-9/10",
        "bytes=0-9/10",
        "bytes 0 -9/10",
        "bytes 0-9/10, bytes 0-9/10",
        "bytes 0-9/0x10",
        "bytes */",
        "bytes */-1",
        "bytes */*",
        "bytes 0-18446744073709551616/18446744073709551617",
        "bytes */1099511627777",
        "bytes 00000000000000000000000000000000000000000000000000000000000000000000-9",
        "items 0-9/10"}) {
    EXPECT_FALSE(parse_upload_range(field)) << field;
  }
}

}  // namespace
}  // namespace kvcast::origin
