#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda.h"

namespace kvcast::kernels {
namespace {

constexpr uint32_t kValues = 1024;

__global__ void square(const uint32_t* from, uint32_t* to, uint32_t count) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) to[i] = from[i] * from[i];
}

struct FreeDevice {
  void operator()(uint32_t* memory_dev) const { cudaFree(memory_dev); }
};
using DeviceArray = std::unique_ptr<uint32_t, FreeDevice>;

DeviceArray allocate(uint32_t count, cudaError_t& status) {
  void* memory_dev = nullptr;
  if (status == cudaSuccess) status = cudaMalloc(&memory_dev, count * sizeof(uint32_t));
  return DeviceArray(static_cast<uint32_t*>(memory_dev));
}

// Squares 0..kValues-1 on the current device.
cudaError_t run_square(std::vector<uint32_t>& values) {
  cudaError_t status = cudaSuccess;
  const size_t bytes = values.size() * sizeof(uint32_t);
  const DeviceArray from_dev = allocate(kValues, status);
  const DeviceArray to_dev = allocate(kValues, status);
  if (status == cudaSuccess) {
    status = cudaMemcpy(from_dev.get(), values.data(), bytes, cudaMemcpyHostToDevice);
  }
  if (status == cudaSuccess) {
    square<<<kValues / 256, 256>>>(from_dev.get(), to_dev.get(), kValues);
    status = cudaGetLastError();
  }
  if (status == cudaSuccess) {
    status = cudaMemcpy(values.data(), to_dev.get(), bytes, cudaMemcpyDeviceToHost);
  }
  return status;
}

}  // namespace

CudaProbe probe_cuda() {
  CudaProbe probe{true, false, ""};
  cudaDeviceProp properties{};
  cudaError_t status = cudaGetDeviceProperties(&properties, 0);
  std::vector<uint32_t> values(kValues);
  for (uint32_t i = 0; i < kValues; ++i) values[i] = i;
  if (status == cudaSuccess) status = run_square(values);
  if (status != cudaSuccess) {
    probe.detail = std::string("no device: ") + cudaGetErrorString(status);
    return probe;
  }
  for (uint32_t i = 0; i < kValues; ++i) {
    if (values[i] == i * i) continue;
    probe.detail = std::string(properties.name) + " computed a wrong result";
    return probe;
  }
  probe.device = true;
  probe.detail = properties.name;
  return probe;
}

}  // namespace kvcast::kernels
