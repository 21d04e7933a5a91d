// DeviceRuntime over the CUDA runtime.
#include <cuda_runtime.h>

#include <string>
#include <utility>

#include "kernels/cuda.h"
#include "kernels/device_runtime.h"

namespace kvcast::kernels {
namespace {

cudaEvent_t event_of(DeviceEvent event) {
  return static_cast<cudaEvent_t>(event);
}

Fault fault_of(const char* call, cudaError_t status) {
  return Fault{std::string(call) + ": " + cudaGetErrorString(status)};
}

Check answer(const char* call, cudaError_t status) {
  if (status == cudaSuccess) return {};
  cudaGetLastError();  // a status that was told must not be told again by the next launch
  return fault_of(call, status);
}

class CudaRuntime final : public DeviceRuntime {
 public:
  CudaRuntime(int ordinal, DeviceInfo info) : ordinal_(ordinal), info_(std::move(info)) {}
  const DeviceInfo& info() const override { return info_; }

  Checked<Owner> allocate(size_t bytes) override {
    void* memory_dev = nullptr;
    const cudaError_t status = on_device([&] { return cudaMalloc(&memory_dev, bytes); });
    return own("cudaMalloc", Resource::kMemory, memory_dev, status);
  }
  Checked<Owner> allocate_pinned(size_t bytes) override {
    void* memory = nullptr;
    const cudaError_t status =
        on_device([&] { return cudaHostAlloc(&memory, bytes, cudaHostAllocDefault); });
    return own("cudaHostAlloc", Resource::kPinned, memory, status);
  }
  Checked<Owner> create_stream() override {
    cudaStream_t stream = nullptr;
    const cudaError_t status = on_device([&] {
      int least = 0, greatest = 0;
      const cudaError_t range = cudaDeviceGetStreamPriorityRange(&least, &greatest);
      if (range != cudaSuccess) return range;
      return cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, least);
    });
    return own("cudaStreamCreateWithPriority", Resource::kStream, stream, status);
  }
  Checked<Owner> create_event() override {
    cudaEvent_t event = nullptr;
    const cudaError_t status =
        on_device([&] { return cudaEventCreateWithFlags(&event, cudaEventDisableTiming); });
    return own("cudaEventCreateWithFlags", Resource::kEvent, event, status);
  }

  Check copy_to_device(void* to_dev, const void* from, size_t bytes, DeviceStream stream) override {
    return answer("cudaMemcpyAsync", on_device([&] {
                    return cudaMemcpyAsync(to_dev, from, bytes, cudaMemcpyHostToDevice, stream);
                  }));
  }
  Check copy_to_host(void* to, const void* from_dev, size_t bytes, DeviceStream stream) override {
    return answer("cudaMemcpyAsync", on_device([&] {
                    return cudaMemcpyAsync(to, from_dev, bytes, cudaMemcpyDeviceToHost, stream);
                  }));
  }
  Check copy_rows_to_device(void* to_dev, size_t to_stride, const void* from, size_t from_stride,
                            size_t row_bytes, size_t rows, DeviceStream stream) override {
    return answer("cudaMemcpy2DAsync", on_device([&] {
                    return cudaMemcpy2DAsync(to_dev, to_stride, from, from_stride, row_bytes, rows,
                                             cudaMemcpyHostToDevice, stream);
                  }));
  }
  Check copy_rows_to_host(void* to, size_t to_stride, const void* from_dev, size_t from_stride,
                          size_t row_bytes, size_t rows, DeviceStream stream) override {
    return answer("cudaMemcpy2DAsync", on_device([&] {
                    return cudaMemcpy2DAsync(to, to_stride, from_dev, from_stride, row_bytes, rows,
                                             cudaMemcpyDeviceToHost, stream);
                  }));
  }
  Check fill(void* to_dev, uint8_t value, size_t bytes, DeviceStream stream) override {
    return answer("cudaMemsetAsync",
                  on_device([&] { return cudaMemsetAsync(to_dev, value, bytes, stream); }));
  }

  Check record(DeviceEvent event, DeviceStream stream) override {
    return answer("cudaEventRecord",
                  on_device([&] { return cudaEventRecord(event_of(event), stream); }));
  }
  Check wait(DeviceEvent event, DeviceStream stream) override {
    return answer("cudaStreamWaitEvent",
                  on_device([&] { return cudaStreamWaitEvent(stream, event_of(event), 0); }));
  }
  Checked<bool> passed(DeviceEvent event) override {
    const cudaError_t status = on_device([&] { return cudaEventQuery(event_of(event)); });
    if (status == cudaSuccess) return true;
    cudaGetLastError();
    if (status == cudaErrorNotReady) return false;
    return fault_of("cudaEventQuery", status);
  }
  Check synchronise(DeviceStream stream) override {
    return answer("cudaStreamSynchronize",
                  on_device([&] { return cudaStreamSynchronize(stream); }));
  }

  Check decode(const DecodePlan& plan, const DecodeMemory& memory, const DeviceShare& share,
               DeviceStream stream) override {
    Check decoding;
    const cudaError_t status = on_device([&] {
      decoding = decode_on_device(plan, memory, share, stream);
      return cudaSuccess;
    });
    if (status != cudaSuccess) return answer("cudaSetDevice", status);
    return decoding;
  }

 protected:
  void release(Resource resource, void* handle) override {
    on_device([&] {
      switch (resource) {
        case Resource::kMemory:
          return cudaFree(handle);
        case Resource::kPinned:
          return cudaFreeHost(handle);
        case Resource::kStream:
          return cudaStreamDestroy(static_cast<cudaStream_t>(handle));
        case Resource::kEvent:
          return cudaEventDestroy(event_of(handle));
      }
      return cudaErrorInvalidValue;
    });
  }

 private:
  // The current device is a thread's own, and the engine's to choose: it is put back.
  template <typename Call>
  cudaError_t on_device(Call call) const {
    int before = ordinal_;
    cudaError_t status = cudaGetDevice(&before);
    if (status == cudaSuccess && before != ordinal_) status = cudaSetDevice(ordinal_);
    if (status == cudaSuccess) status = call();
    if (before != ordinal_) cudaSetDevice(before);
    return status;
  }

  Checked<Owner> own(const char* call, Resource resource, void* handle, cudaError_t status) {
    if (Check check = answer(call, status); !check) return check.fault();
    return Owner(handle, {this, resource});
  }

  const int ordinal_;
  const DeviceInfo info_;
};

}  // namespace

Checked<std::unique_ptr<DeviceRuntime>> open_cuda_device(uint32_t ordinal) {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    cudaGetLastError();
    const std::string why = status == cudaSuccess ? "none is visible" : cudaGetErrorString(status);
    return Fault{"no CUDA device (" + why +
                 "): check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES allows it, or "
                 "decode on the CPU"};
  }
  if (ordinal >= static_cast<uint32_t>(count)) {
    return Fault{"no CUDA device " + std::to_string(ordinal) + ": there are " +
                 std::to_string(count) + ", numbered from 0"};
  }
  cudaDeviceProp properties{};
  status = cudaGetDeviceProperties(&properties, static_cast<int>(ordinal));
  if (status != cudaSuccess) return fault_of("cudaGetDeviceProperties", status);
  DeviceInfo info{properties.name, static_cast<uint32_t>(properties.multiProcessorCount),
                  properties.totalGlobalMem};
  return std::unique_ptr<DeviceRuntime>(
      std::make_unique<CudaRuntime>(static_cast<int>(ordinal), std::move(info)));
}

}  // namespace kvcast::kernels
