// CUDA calls of the check: what fails is thrown, with its name, and caught in main.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

namespace kvcast::kernels::gpu_check {

inline void require(cudaError_t status, const char* call) {
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string(call) + ": " + cudaGetErrorString(status));
  }
}

struct FreeDevice {
  void operator()(void* memory_dev) const { cudaFree(memory_dev); }
};
template <typename T>
using DeviceArray = std::unique_ptr<T[], FreeDevice>;

template <typename T>
DeviceArray<T> device_array(size_t count) {
  void* memory_dev = nullptr;
  require(cudaMalloc(&memory_dev, std::max<size_t>(count, 1) * sizeof(T)), "cudaMalloc");
  return DeviceArray<T>(static_cast<T*>(memory_dev));
}

template <typename T>
DeviceArray<T> to_device(std::span<const T> values) {
  DeviceArray<T> array = device_array<T>(values.size());
  require(cudaMemcpy(array.get(), values.data(), values.size_bytes(), cudaMemcpyHostToDevice),
          "cudaMemcpy");
  return array;
}

// Seconds that `work(stream)` takes on an otherwise idle device: the least of `runs`, by events,
// after one to warm up.
template <typename Work>
double least_seconds(int runs, Work work) {
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  require(cudaEventCreate(&begin), "cudaEventCreate");
  require(cudaEventCreate(&end), "cudaEventCreate");
  double least = 1e30;
  for (int run = 0; run <= runs; ++run) {
    require(cudaEventRecord(begin, stream), "cudaEventRecord");
    work(stream);
    require(cudaGetLastError(), "a kernel");
    require(cudaEventRecord(end, stream), "cudaEventRecord");
    require(cudaEventSynchronize(end), "cudaEventSynchronize");
    float ms = 0;
    require(cudaEventElapsedTime(&ms, begin, end), "cudaEventElapsedTime");
    if (run > 0) least = std::min(least, ms * 1e-3);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  cudaStreamDestroy(stream);
  return least;
}

}  // namespace kvcast::kernels::gpu_check
