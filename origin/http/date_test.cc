#include "origin/http/date.h"

#include <gtest/gtest.h>

#include <ctime>
#include <random>

namespace kvcast::origin {
namespace {

TEST(HttpDate, TheStandardsExampleInAllThreeForms) {
  EXPECT_EQ(format_http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), 784111777);
}

TEST(HttpDate, FormatsAsTheCLibraryDoesAndReadsItBack) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    const auto seconds = static_cast<time_t>(random() % 253402300800u);  // to the end of 9999
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    ASSERT_EQ(format_http_date(seconds), text);
    ASSERT_EQ(parse_http_date(text), seconds);
    std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    ASSERT_EQ(parse_http_date(text), seconds);
  }
}

TEST(HttpDate, RefusesWhatIsNone) {
  for (const char* text : {"", "now", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
                           "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
                           "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                           "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
                           "Sun, -6 Nov 1994 08:49:37 GMT", "784111777"}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

TEST(HttpDate, LeapSecondIsTheNextMinutesFirst) {
  EXPECT_EQ(parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"),
            parse_http_date("Sun, 01 Jan 2017 00:00:00 GMT"));
}

TEST(HttpDate, TwoDigitYears) {
  EXPECT_EQ(parse_http_date("Thursday, 01-Jan-70 00:00:00 GMT"), 0);
  EXPECT_EQ(parse_http_date("Tuesday, 31-Dec-69 23:59:59 GMT"),
            parse_http_date("Tue, 31 Dec 2069 23:59:59 GMT"));
}

}  // namespace
}  // namespace kvcast::origin
