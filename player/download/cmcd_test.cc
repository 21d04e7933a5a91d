#include "player/cmcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvcast::player {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Cmcd, SaysWhatIsWantedUntilWhen) {
  const CmcdSession session{"6e2fb550-c457-11e9-bb97-0800200c9a66", "book \"one\""};
  CmcdRequest request;
  request.level = 2;
  request.deadline_ms = 449;
  request.rate_bytes_per_s = 3.2e6;
  request.urgent = true;
  EXPECT_THAT(cmcd_headers(session, request),
              ElementsAre("CMCD-Object: kvcast-level=2,ot=o", "CMCD-Request: dl=400,mtp=25600,su",
                          "CMCD-Session: cid=\"book \\\"one\\\"\",sf=o,"
                          "sid=\"6e2fb550-c457-11e9-bb97-0800200c9a66\",st=v"));
}

TEST(Cmcd, LeavesOutWhatIsNotKnown) {
  CmcdRequest request;
  request.type = CmcdRequest::Type::kManifest;
  EXPECT_THAT(cmcd_headers({"x", ""}, request),
              ElementsAre("CMCD-Object: ot=m", "CMCD-Session: sf=o,sid=\"x\",st=v"));
  EXPECT_THAT(cmcd_headers({}, request), IsEmpty());
}

TEST(Cmcd, SaysWhenItIsLate) {
  CmcdRequest request;
  request.deadline_ms = -30;
  const auto headers = cmcd_headers({"x", ""}, request);
  EXPECT_THAT(headers, testing::Contains("CMCD-Status: bs"));
  EXPECT_THAT(headers, testing::Contains("CMCD-Request: dl=0"));
}

TEST(Cmcd, NothingFromOutsideBreaksAHeader) {
  for (const std::string& header :
       cmcd_headers({"x", "a\r\nEvil: 1\x80\\" + std::string(500, 'y')}, CmcdRequest{})) {
    EXPECT_EQ(header.find_first_of("\r\n\x80"), std::string::npos);
    EXPECT_LT(header.size(), 160u);
  }
}

}  // namespace
}  // namespace kvcast::player
