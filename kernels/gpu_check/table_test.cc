#include "kernels/gpu_check/table.h"

#include <gtest/gtest.h>

namespace kvcast::kernels::gpu_check {
namespace {

Findings sample() {
  Findings found;
  found.device = "a \"device\"";
  found.date = "2026-01-01";
  found.checks = {{"coefficients", 10, 0, "", "all of them"}};
  found.rates = {{"ours", 2e9, 2.5e8, 1e-3, "bf16 out"}, {"memcpy", 4e9, 0, 1e-3, "copied"}};
  found.copy_bytes_per_s = 4e12;
  found.bars = {{"one plane", "TB/s", 2.0, 1.2, false}, {"ratio", "", 1.3, 1.15, true}};
  found.left_out = {"nvCOMP: not built in"};
  return found;
}

TEST(GpuTable, SaysWhatWasFound) {
  const std::string text = text_of(sample());
  EXPECT_NE(text.find("2000.0"), std::string::npos) << text;
  EXPECT_NE(text.find("0.500"), std::string::npos) << text;   // of copy
  EXPECT_NE(text.find("0.1250"), std::string::npos) << text;  // in:out
  EXPECT_NE(text.find(">= 1.200    met"), std::string::npos) << text;
  EXPECT_NE(text.find("<= 1.150    MISSED"), std::string::npos) << text;
  EXPECT_NE(text.find("not measured: nvCOMP"), std::string::npos) << text;
}

TEST(GpuTable, IsJsonToo) {
  const std::string json = json_of(sample());
  EXPECT_NE(json.find("\"device\": \"a \\\"device\\\"\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"at_least\": 1.2, \"met\": true"), std::string::npos) << json;
  EXPECT_NE(json.find("\"at_most\": 1.15, \"met\": false"), std::string::npos) << json;
}

TEST(GpuTable, AFailedOrEmptyCheckIsNotSound) {
  Findings found = sample();
  EXPECT_TRUE(found.sound());
  found.checks[0].failures = 1;
  EXPECT_FALSE(found.sound());
  found.checks[0] = {"nothing", 0, 0, "", ""};
  EXPECT_FALSE(found.sound());
}

}  // namespace
}  // namespace kvcast::kernels::gpu_check
