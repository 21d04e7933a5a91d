// Launches kernels on the emulated device: for its own class and for tests.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/device.cuh"

namespace kvcast::kernels {
namespace {

struct EmulatedLauncher {
  uint32_t max_blocks;  // fewer than there is work for, so that blocks take several tasks

  template <typename Kernel>
  void run(const Kernel& kernel, uint64_t blocks) const {
    emulation::run(static_cast<uint32_t>(std::min<uint64_t>(blocks, max_blocks)), Kernel::kThreads,
                   Kernel::kSharedBytes, kernel);
  }
};

}  // namespace
}  // namespace kvcast::kernels
