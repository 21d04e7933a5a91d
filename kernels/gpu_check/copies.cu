#include "kernels/gpu_check/peers.h"
#include "kernels/gpu_check/timing.cuh"

namespace kvcast::kernels::gpu_check {

Rate copy_on_device(size_t bytes, int runs) {
  const auto from_dev = device_array<std::byte>(bytes), to_dev = device_array<std::byte>(bytes);
  require(cudaMemset(from_dev.get(), 1, bytes), "cudaMemset");
  const double seconds = least_seconds(runs, [&](cudaStream_t stream) {
    require(cudaMemcpyAsync(to_dev.get(), from_dev.get(), bytes, cudaMemcpyDeviceToDevice, stream),
            "cudaMemcpyAsync");
  });
  return {"memcpy, device to device", static_cast<double>(bytes), 0, seconds,
          "bytes copied; each is read and written"};
}

Rate copy_from_pinned(size_t bytes, int runs) {
  const auto to_dev = device_array<std::byte>(bytes);
  void* pinned = nullptr;
  require(cudaMallocHost(&pinned, bytes), "cudaMallocHost");
  const std::unique_ptr<void, void (*)(void*)> owner(pinned, [](void* p) { cudaFreeHost(p); });
  std::fill_n(static_cast<char*>(pinned), bytes, 1);
  const double seconds = least_seconds(runs, [&](cudaStream_t stream) {
    require(cudaMemcpyAsync(to_dev.get(), pinned, bytes, cudaMemcpyHostToDevice, stream),
            "cudaMemcpyAsync");
  });
  return {"memcpy, pinned host to device", static_cast<double>(bytes), 0, seconds, "bytes copied"};
}

}  // namespace kvcast::kernels::gpu_check
