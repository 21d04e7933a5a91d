#include "origin/log/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "origin/testing/folder.h"
#include "origin/testing/process.h"

namespace kvcast::origin {
namespace {

using ::testing::HasSubstr;

std::string page_of(const Metrics& a, const Metrics& b) {
  const Metrics* const threads[] = {&a, &b};
  return metrics_text(threads, {3, 10, 7, true});
}

TEST(Metrics, SumsThreads) {
  Metrics a, b;
  a.count_request(200, 100, true, 0.002, 0.0001);
  b.count_request(200, 50, false, 70, 0.3);
  b.count_request(418, 0, true, 0, 0);
  const std::string page = page_of(a, b);
  EXPECT_THAT(page, HasSubstr("\nkvcast_http_requests_total{status=\"200\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_http_requests_total{status=\"other\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_http_response_body_bytes_total 150\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_http_incomplete_responses_total 1\n"));
  EXPECT_THAT(page, HasSubstr("_duration_seconds_bucket{le=\"0.0025\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("_duration_seconds_bucket{le=\"60\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("_duration_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("_duration_seconds_sum 70.002\n"));
  EXPECT_THAT(page, HasSubstr("_first_byte_seconds_bucket{le=\"0.0001\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_connections 3\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_access_log_dropped_lines_total 7\n"));
  EXPECT_THAT(page, HasSubstr("\nkvcast_draining 1\n"));
}

TEST(Metrics, PromtoolHasNothingToSay) {
  if (!testing::is_on_path("promtool")) GTEST_SKIP() << "promtool (prometheus) is not installed";
  Metrics a, b;
  a.count_request(200, 100, true, 0.002, 0.0001);
  testing::TemporaryFolder folder;
  const std::string path = folder.write("page", page_of(a, b));
  testing::Process check({"sh", "-c", "promtool check metrics < " + path + " 2>&1"});
  EXPECT_EQ(check.read_all(), "");
  EXPECT_EQ(check.wait(), 0);
}

}  // namespace
}  // namespace kvcast::origin
