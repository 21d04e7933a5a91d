#include "kernels/cuda.h"

#include <gtest/gtest.h>

namespace kvcast::kernels {
namespace {

TEST(Cuda, ProbeSaysWhy) {
  const CudaProbe probe = probe_cuda();
  EXPECT_FALSE(probe.detail.empty());
  EXPECT_TRUE(probe.compiled || !probe.device);
}

TEST(Cuda, DeviceRunsAKernel) {
  const CudaProbe probe = probe_cuda();
  if (!probe.device && probe.detail.find("wrong result") == std::string::npos) {
    GTEST_SKIP() << probe.detail;
  }
  EXPECT_TRUE(probe.device) << probe.detail;
}

}  // namespace
}  // namespace kvcast::kernels
