// Launches kernels of kernels/cuda/device.cuh's kind on a stream. After the first error nothing
// more is launched.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <string>

#include "kernels/cuda/device.cuh"
#include "kernels/device_decode.h"

namespace kvcast::kernels {
namespace {

template <typename Kernel>
__global__ void __launch_bounds__(Kernel::kThreads, Kernel::kBlocksPerSm)
    run_kernel(const __grid_constant__ Kernel kernel) {
  kernel();
}

class CudaLauncher {
 public:
  CudaLauncher(const DeviceShare& share, DeviceStream stream) : share_(share), stream_(stream) {}

  template <typename Kernel>
  void run(const Kernel& kernel, uint64_t blocks) {
    constexpr uint64_t kMostBlocks = 1u << 30;
    constexpr size_t kSharedWithoutAsking = 48 * 1024;
    if (status_ != cudaSuccess || blocks == 0) return;
    blocks = std::min(blocks, kMostBlocks);
    if (share_.max_sms > 0)
      blocks = std::min(blocks, uint64_t{share_.max_sms} * Kernel::kBlocksPerSm);
    if constexpr (Kernel::kSharedBytes > kSharedWithoutAsking) {
      status_ =
          cudaFuncSetAttribute(run_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(Kernel::kSharedBytes));
      if (status_ != cudaSuccess) return;
    }
    run_kernel<Kernel>
        <<<static_cast<uint32_t>(blocks), Kernel::kThreads, Kernel::kSharedBytes, stream_>>>(
            kernel);
    status_ = cudaGetLastError();
  }

  void copy(void* to_dev, const void* from, size_t bytes) {
    if (status_ != cudaSuccess || bytes == 0) return;
    status_ = cudaMemcpyAsync(to_dev, from, bytes, cudaMemcpyHostToDevice, stream_);
  }
  void copy_back(void* to, const void* from_dev, size_t bytes) {
    if (status_ != cudaSuccess || bytes == 0) return;
    status_ = cudaMemcpyAsync(to, from_dev, bytes, cudaMemcpyDeviceToHost, stream_);
  }

  Check check() const {
    if (status_ == cudaSuccess) return {};
    return Fault{std::string("CUDA: ") + cudaGetErrorString(status_)};
  }

 private:
  DeviceShare share_;
  DeviceStream stream_;
  cudaError_t status_ = cudaSuccess;
};

}  // namespace
}  // namespace kvcast::kernels
