// Memory stays below 1.5 times a chunk's raw size, at the shape of an 8B-class model.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "packager/packager.h"
#include "packager/testing/folder.h"
#include "packager/testing/synthetic_kv.h"

namespace kvcast::packager {
namespace {

uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

// Packs in a process of its own and answers its peak; 0 when packing failed.
uint64_t peak_of_packing(const PackParams& params) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto report = pack(params);
    if (!report.ok()) std::fprintf(stderr, "%s\n", report.error().message.c_str());
    const uint64_t peak = report.ok() ? peak_resident_bytes() : 0;
    const bool sent = ::write(ends[1], &peak, sizeof peak) == sizeof peak;
    ::_exit(sent ? 0 : 1);
  }
  uint64_t peak = 0;
  if (::read(ends[0], &peak, sizeof peak) != sizeof peak) peak = 0;
  ::close(ends[0]);
  ::close(ends[1]);
  int state = 0;
  ::waitpid(child, &state, 0);
  return peak;
}

TEST(Memory, OfAnEightBillionClassChunkStaysBelowOneAndAHalfTimesItsSize) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need memory of their own";
#endif
  const TestFolder folder;
  SyntheticKv kv;
  kv.geometry = {32, 8, 128, 8, 128};
  kv.tokens = 1024;
  stream_kv_file(folder / "kv.safetensors", kv);
  const uint64_t raw_bytes = kv.tokens * kv.geometry.bytes_per_token(kv.dtype);
  ASSERT_EQ(raw_bytes, uint64_t{128} << 20);

  PackParams params;
  params.input = folder / "kv.safetensors";
  params.exact = true;
  params.threads = 64;  // the limit on workers must hold whatever is asked for
  params.out = folder / "store";
  const uint64_t peak = peak_of_packing(params);
  const double ratio = static_cast<double>(peak) / static_cast<double>(raw_bytes);
  RecordProperty("peak_per_raw", std::to_string(ratio));
  EXPECT_GT(peak, 0u);
  EXPECT_LT(ratio, 1.5);
}

}  // namespace
}  // namespace kvcast::packager
